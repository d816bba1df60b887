import { sha256 } from '../../core/bytes.ts';
import { EfiError } from './efi-error.ts';
import type { PeImage } from './pe.ts';
import { parsePe } from './pe.ts';

/**
 * The digest that a Secure Boot signature covers and that firmware extends into PCR 4 (Windows
 * Authenticode Portable Executable Signature Format, "Calculating the PE Image Hash"; TCG PC Client
 * Platform Firmware Profile, section 3.3.4.5). Everything except CheckSum, the certificate directory
 * entry and the certificate table is hashed; data behind the last section is part of it.
 *
 * The specification hashes section by section, signing tools hash the file from front to end. Images for
 * which the two differ (gaps between sections, a length that signing would pad) are refused.
 */
export function authenticodeSha256(bytes: Uint8Array): Uint8Array {
  const image = parsePe(bytes);
  requireOneReading(image);
  const { checkSumOffset, certificateEntryOffset, certificateTable } = image;
  return sha256(
    bytes.subarray(0, checkSumOffset),
    bytes.subarray(checkSumOffset + 4, certificateEntryOffset),
    bytes.subarray(certificateEntryOffset + 8, certificateTable?.offset ?? bytes.length),
  );
}

function requireOneReading(image: PeImage): void {
  const inFile = image.sections
    .filter(({ fileSize }) => fileSize > 0)
    .sort((a, b) => a.fileOffset - b.fileOffset);
  let end = image.sizeOfHeaders;
  for (const { name, fileOffset, fileSize } of inFile) {
    if (fileOffset !== end) throw new EfiError('pe-layout', `there is a gap in front of section ${name}`);
    end = fileOffset + fileSize;
  }
  if (image.bytes.length % 8 !== 0)
    throw new EfiError('pe-layout', `the image has ${image.bytes.length} bytes, not a multiple of 8`);
}
