import { CodedError } from '../../core/errors.ts';

export type BackupErrorCode =
  | 'backup-exists'
  | 'backup-invalid'
  /** Truncated or altered: nothing of it was put in place. */
  | 'backup-damaged'
  | 'backup-older-than-served'
  | 'data-dir-missing'
  /** Two histories of the same metadata: nobody but a person can tell which is the right one. */
  | 'floors-contradict'
  | 'passphrase-missing'
  | 'passphrase-wrong'
  | 'restore-pending'
  | 'server-running';

export class BackupError extends CodedError<BackupErrorCode> {}
