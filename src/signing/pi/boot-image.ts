import { PiError } from './pi-error.ts';

/** The bootloader takes no more (Raspberry Pi documentation, "boot_ramdisk"): 96 MiB. */
export const MAX_BOOT_IMAGE_BYTES = 96 * 1024 * 1024;
/** Above it a network boot takes most of a minute, and boards with 1 GB run short. */
export const LARGE_BOOT_IMAGE_BYTES = 64 * 1024 * 1024;

const SECTOR_BYTES = 512;

/**
 * A look at what is about to be signed: whole sectors, with the boot signature that FAT (and a partition
 * table in front of FAT) has at the end of the first one. Not a check of the file system.
 */
export function requireBootImage(image: Uint8Array): void {
  if (image.length > MAX_BOOT_IMAGE_BYTES)
    throw new PiError(
      'boot-image-invalid',
      `the image has ${image.length} bytes, the bootloader loads at most ${MAX_BOOT_IMAGE_BYTES}`,
    );
  const isDisk = image.length > 0 && image.length % SECTOR_BYTES === 0;
  if (!isDisk || image[510] !== 0x55 || image[511] !== 0xaa)
    throw new PiError('boot-image-invalid', 'this is not a FAT image: it has no boot sector');
}
