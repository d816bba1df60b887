import { CodedError } from '../src/core/errors.ts';

export type LabErrorCode =
  | 'varstore-malformed'
  | 'varstore-full'
  | 'boot-entry-invalid'
  | 'tpm-failed'
  | 'machine-failed'
  | 'server-failed'
  | 'command-failed'
  | 'server-failed'
  | 'command-failed'
  | 'wait-timeout';

export class LabError extends CodedError<LabErrorCode> {}
