import { asciiBytes, sha256 } from '../../core/bytes.ts';

/** What is measured of an image; whoever reads PE files supplies it. */
export interface Stage0Measurements {
  /** Authenticode SHA-256 of the whole image. */
  authenticodeSha256: Uint8Array;
  /** The same of its `.linux` section: systemd-stub starts it through firmware, which measures it again. */
  innerKernelAuthenticodeSha256?: Uint8Array;
  sections: readonly { name: string; sha256: Uint8Array }[];
}

/** SHA-256 bank. */
export interface PredictedStage0Pcrs {
  pcr4SecureBoot: Uint8Array;
  pcr4NoSecureBoot?: Uint8Array;
  pcr11: Uint8Array;
}

/** PC Client PFP, section 3.3.4.5: before it starts a boot option, firmware says so, then separates. */
const BOOT_OPTION_ACTION = asciiBytes('Calling EFI Application from Boot Option');
const SEPARATOR = new Uint8Array(4);

/** systemd-stub 252, src/fundamental/tpm-pcr.c: the measured sections in the order of measuring. */
const MEASURED_SECTIONS = ['.linux', '.osrel', '.cmdline', '.initrd', '.splash', '.dtb', '.pcrpkey'];

/**
 * The PCR values that booting this image leaves, so that nobody ever copies golden values by hand. With
 * Secure Boot the stub checks the inner kernel itself; without it firmware does, and measures it.
 */
export function predictStage0Pcrs(image: Stage0Measurements): PredictedStage0Pcrs {
  const pcr4SecureBoot = extendAll(pcr4Digests(image.authenticodeSha256));
  const inner = image.innerKernelAuthenticodeSha256;
  return {
    pcr4SecureBoot,
    ...(inner === undefined ? {} : { pcr4NoSecureBoot: extend(pcr4SecureBoot, inner) }),
    pcr11: predictPcr11(image.sections),
  };
}

/** What firmware extends PCR 4 with when Secure Boot is on and it starts this image. */
export function pcr4Digests(authenticodeSha256: Uint8Array): Uint8Array[] {
  return [sha256(BOOT_OPTION_ACTION), sha256(SEPARATOR), authenticodeSha256];
}

function predictPcr11(sections: Stage0Measurements['sections']): Uint8Array {
  return extendAll(
    MEASURED_SECTIONS.flatMap((name) => {
      const section = sections.find((candidate) => candidate.name === name);
      return section === undefined ? [] : [sha256(asciiBytes(`${name}\0`)), section.sha256];
    }),
  );
}

/** TPM2_PCR_Extend in the SHA-256 bank (Part 1, section 17.2). */
function extend(value: Uint8Array, digest: Uint8Array): Uint8Array {
  return sha256(value, digest);
}

function extendAll(digests: readonly Uint8Array[]): Uint8Array {
  return digests.reduce(extend, new Uint8Array(32));
}
