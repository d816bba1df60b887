import { CodedError } from '../../core/errors.ts';

export type EfiErrorCode =
  /** Not a PE32+ image, or one whose fields contradict each other or the file's length. */
  | 'pe-malformed'
  /** Well-formed, but laid out in a way on which signers and firmware may disagree. */
  | 'pe-layout'
  /** The stub, the sections or the configuration cannot make a unified kernel image. */
  | 'uki-invalid'
  /** A path or size that the newc archive format cannot hold. */
  | 'cpio-invalid'
  /** The signing tool failed, or what it wrote does not verify. */
  | 'efi-signing-failed';

export class EfiError extends CodedError<EfiErrorCode> {}
