import { CodedError } from '../../core/errors.ts';

export type KeyErrorCode =
  | 'key-file-invalid'
  | 'key-file-missing'
  | 'key-file-exists'
  /** Others than its owner can read or write a private key. */
  | 'key-file-exposed'
  | 'passphrase-wrong'
  | 'passphrase-invalid';

export class KeyError extends CodedError<KeyErrorCode> {}
