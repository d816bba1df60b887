import { CodedError } from '../core/errors.ts';

export type ReleaseErrorCode =
  | 'channel-unknown'
  | 'release-not-listed'
  | 'slot-empty'
  | 'slot-active'
  | 'rollout-open'
  | 'rollout-missing'
  | 'rollout-wrong-state'
  | 'plan-invalid';

export class ReleaseError extends CodedError<ReleaseErrorCode> {}
