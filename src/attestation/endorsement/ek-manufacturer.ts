import { Refusal } from '../reasons.ts';
import type { VerifiedEk } from './ek-certificate.ts';

/** TCG EK Credential Profile 2.5, section 3.1.2: `id:` and the four bytes of TPM_PT_MANUFACTURER in hex. */
const TPM_MANUFACTURER = /^id:([0-9a-f]{8})$/i;

/** swtpm writes IBM's PCI vendor number into its certificates, while its TPM reports `IBM\0`. */
const WRITTEN_FOR: ReadonlyMap<number, number> = new Map([[0x00001014, 0x49424d00]]);

/**
 * E3: is the TPM of the manufacturer that its EK certificate names? `claimedVendorId` is what it reports as
 * TPM_PT_MANUFACTURER (TPM 2.0 Part 2, section 6.13), unsigned. A certificate that names none says nothing:
 * that is the note `ek-certificate-no-tpm-model`.
 *
 * @throws {Refusal} `ek-manufacturer-mismatch`
 */
export function verifyManufacturer(claimedVendorId: number, ek: Pick<VerifiedEk, 'manufacturer'>): void {
  if (ek.manufacturer === undefined) return;
  const digits = TPM_MANUFACTURER.exec(ek.manufacturer)?.[1];
  const certified = digits === undefined ? undefined : Number.parseInt(digits, 16);
  if (certified !== undefined && (WRITTEN_FOR.get(certified) ?? certified) === claimedVendorId) return;
  const claimed = claimedVendorId.toString(16).toUpperCase().padStart(8, '0');
  throw new Refusal(
    'ek-manufacturer-mismatch',
    `EK certificate: for a TPM of ${JSON.stringify(ek.manufacturer)}, and the TPM says id:${claimed}`,
  );
}
