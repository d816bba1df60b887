import { CodedError } from '../../core/errors.ts';

export type BackupErrorCode =
  | 'backup-exists'
  | 'backup-invalid'
  /** Truncated or altered: nothing of it was put in place. */
  | 'backup-damaged'
  | 'backup-older-than-served'
  | 'data-dir-missing'
  | 'passphrase-missing'
  | 'passphrase-wrong'
  | 'server-running';

export class BackupError extends CodedError<BackupErrorCode> {}
