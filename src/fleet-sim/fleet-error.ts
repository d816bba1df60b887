import { CodedError } from '../core/errors.ts';

export type FleetErrorCode =
  /** Options that make no fleet. */
  | 'fleet-options'
  /** The folder holds no fleet, or holds one already. */
  | 'fleet-folder'
  /** An answer that no server of ours gives. */
  | 'answer-unexpected'
  | 'download-damaged';

export class FleetError extends CodedError<FleetErrorCode> {}
