import { CodedError } from '../../core/errors.ts';

export type RepositoryErrorCode =
  | 'repository-missing'
  /** Its first root is proposed, and waits for signatures. */
  | 'repository-unsigned'
  | 'repository-exists'
  | 'repository-busy'
  | 'repository-settings-invalid'
  /** A file that metadata names is not there or is not what they say. */
  | 'artifact-damaged'
  | 'pending-missing'
  /** A version or build number that was given to something before, even if that was withdrawn. */
  | 'number-taken';

export class RepositoryError extends CodedError<RepositoryErrorCode> {}
