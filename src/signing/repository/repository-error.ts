import { CodedError } from '../../core/errors.ts';

export type RepositoryErrorCode =
  | 'repository-missing'
  | 'repository-exists'
  | 'repository-busy'
  | 'repository-settings-invalid'
  /** A file that metadata names is not there or is not what they say. */
  | 'artifact-damaged';

export class RepositoryError extends CodedError<RepositoryErrorCode> {}
