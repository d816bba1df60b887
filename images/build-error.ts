import { CodedError } from '../src/core/errors.ts';

export type ImageBuildErrorCode =
  | 'lock-invalid'
  | 'mirrors-unreachable'
  | 'package-altered'
  | 'recipe-broken'
  | 'image-too-large'
  | 'tool-failed';

/** Why images cannot be built, in one sentence that says what to do. */
export class ImageBuildError extends CodedError<ImageBuildErrorCode> {}
