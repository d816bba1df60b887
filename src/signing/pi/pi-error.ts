import { CodedError } from '../../core/errors.ts';

export type PiErrorCode =
  /** Not a disk image with a boot sector, or larger than the bootloader loads. */
  | 'boot-image-invalid'
  /** A name or a number of files that a FAT image cannot hold. */
  | 'boot-files-invalid'
  | 'boot-sig-malformed'
  /** The signature was made for another image. */
  | 'boot-sig-other-image'
  | 'boot-sig-invalid'
  /** The bootloader verifies RSA-2048 and nothing else. */
  | 'boot-sig-key';

export class PiError extends CodedError<PiErrorCode> {}
