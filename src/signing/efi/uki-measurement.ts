import { asciiBytes, sha256 } from '../../core/bytes.ts';
import { authenticodeSha256 } from './authenticode.ts';
import { EfiError } from './efi-error.ts';
import type { PeSection } from './pe.ts';
import { parsePe } from './pe.ts';

export interface UkiMeasurement {
  /** What firmware extends into PCR 4 for this image. */
  authenticodeSha256: Uint8Array;
  /** PCR 11 after systemd-stub has measured itself. */
  pcr11: Uint8Array;
  sections: readonly { name: string; sha256: Uint8Array }[];
}

/**
 * systemd-stub 252 measures these sections, in this order, whatever their order in the file
 * (systemd 252, src/boot/efi/stub.c and src/fundamental/tpm-pcr.c): first the name with its NUL, then
 * the data. `.pcrsig` is never measured.
 */
const MEASURED_SECTIONS = ['.linux', '.osrel', '.cmdline', '.initrd', '.splash', '.dtb', '.pcrpkey'];

/** Predicts from the file alone what booting it leaves in the TPM, so that nobody copies golden values. */
export function measureUki(bytes: Uint8Array): UkiMeasurement {
  const { sections } = parsePe(bytes);
  const measured = MEASURED_SECTIONS.flatMap((name) => onlySection(sections, name));
  for (const name of ['.linux', '.osrel', '.cmdline', '.initrd'])
    if (!measured.some((section) => section.name === name))
      throw new EfiError('uki-invalid', `the image has no section ${name}`);
  let pcr11: Uint8Array = new Uint8Array(32);
  for (const { name, data } of measured)
    for (const event of [asciiBytes(`${name}\0`), data]) pcr11 = sha256(pcr11, sha256(event));
  return {
    authenticodeSha256: authenticodeSha256(bytes),
    pcr11,
    sections: measured.map(({ name, data }) => ({ name, sha256: sha256(data) })),
  };
}

/** A section that appears twice is refused: stub and verifier could look at different ones. */
function onlySection(sections: readonly PeSection[], name: string): PeSection[] {
  const found = sections.filter((section) => section.name === name);
  if (found.length > 1) throw new EfiError('uki-invalid', `the image has ${found.length} sections ${name}`);
  return found.map(requireMappedWhole);
}

/** The stub measures VirtualSize bytes of memory: a section that is longer there has zeros we do not see. */
function requireMappedWhole(section: PeSection): PeSection {
  if (section.virtualSize > section.fileSize)
    throw new EfiError('uki-invalid', `section ${section.name} is longer in memory than in the file`);
  return section;
}
