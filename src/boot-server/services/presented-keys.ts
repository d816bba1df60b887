import { verifyAkTemplate } from '../../attestation/keys/ak.ts';
import { loadAttestationKey } from '../../attestation/keys/attestation-key.ts';
import { type Finding, Refusal } from '../../attestation/reasons.ts';
import { TpmFormatError } from '../../tpm/errors.ts';
import { computeName } from '../../tpm/name.ts';
import { parseTpm2bPublic, type TpmPublic } from '../../tpm/public-area.ts';
import { Problem } from '../problems.ts';
import type { EkExaminer, ExaminedEk, PresentedEk } from './ek-examiner.ts';

/** The keys of one TPM as a stranger presents them. */
export interface PresentedKeys {
  eks: readonly PresentedEk[];
  /** TPM2B_PUBLIC. */
  akPublic: Uint8Array;
  /** TPM_PT_MANUFACTURER, as the TPM reports it. */
  claimedVendorId?: number;
}

export interface ExaminedKeys {
  eks: readonly ExaminedEk[];
  akPublic: TpmPublic;
  /** Of the very bytes whose attributes were judged. */
  akName: Uint8Array;
  /** Of all EKs, each said once. */
  notes: readonly Finding[];
}

/** @throws {Problem} request-invalid for what is no key, enrolment-refused for a key that will not do */
export async function examineKeys(presented: PresentedKeys, examineEk: EkExaminer): Promise<ExaminedKeys> {
  const akPublic = await refuseAsEnrolment(async () => examineAk(presented.akPublic));
  const eks = await Promise.all(
    presented.eks.map((ek) => refuseAsEnrolment(() => examineEk(ek, presented.claimedVendorId))),
  );
  if (new Set(eks.map((ek) => ek.fingerprint)).size !== eks.length)
    throw new Problem('enrolment-refused', 'the same endorsement key was presented twice');
  const notes = new Map(eks.flatMap((ek) => ek.notes).map((note) => [note.message, note]));
  return { eks, akPublic, akName: computeName(akPublic), notes: [...notes.values()] };
}

/** The structure, the template, and a point on its curve: what is stored here can be verified with later. */
function examineAk(tpm2bPublic: Uint8Array): TpmPublic {
  const akPublic = parseTpm2bPublic(tpm2bPublic);
  verifyAkTemplate(akPublic);
  loadAttestationKey(akPublic.raw);
  return akPublic;
}

async function refuseAsEnrolment<T>(examine: () => Promise<T>): Promise<T> {
  try {
    return await examine();
  } catch (cause) {
    if (cause instanceof TpmFormatError) throw new Problem('request-invalid', cause.message, { cause });
    if (!(cause instanceof Refusal)) throw cause;
    const reasons = [cause.finding];
    throw new Problem('enrolment-refused', cause.message, { members: { reasons }, cause });
  }
}
