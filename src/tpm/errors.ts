import { CodedError } from '../core/errors.ts';

export type TpmFormatCode =
  | 'truncated'
  | 'trailing-bytes'
  | 'too-long'
  | 'invalid-value'
  | 'unsupported'
  | 'log-too-large'
  | 'log-sha1-format';

/** Bytes that are not the TPM or TCG structure that they should be. Says where and what, never crashes. */
export class TpmFormatError extends CodedError<TpmFormatCode> {}
