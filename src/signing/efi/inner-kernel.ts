import { authenticodeSha256 } from './authenticode.ts';
import { EfiError } from './efi-error.ts';
import { parsePe } from './pe.ts';

/**
 * What firmware measures of the kernel within a unified kernel image when Secure Boot is off: then
 * systemd-stub has firmware load it. Undefined when there is no such kernel, or none whose digest is
 * certain: nothing can be predicted then.
 */
export function innerKernelSha256(image: Uint8Array): Uint8Array | undefined {
  const kernel = parsePe(image).sections.find(({ name }) => name === '.linux');
  if (kernel === undefined) return undefined;
  try {
    return authenticodeSha256(kernel.data);
  } catch (error) {
    if (error instanceof EfiError) return undefined;
    throw error;
  }
}
