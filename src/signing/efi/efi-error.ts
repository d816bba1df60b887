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
  /** Key, certificate and time cannot make a signature that verifies. */
  | 'efi-signing-failed'
  /** Not signed by the certificate's key, or in a form that we don't read. */
  | 'efi-signature-invalid'
  /** A signature that is there was made for other bytes. */
  | 'efi-signature-other-image';

export class EfiError extends CodedError<EfiErrorCode> {}
