import { asciiBytes } from '../../core/bytes.ts';
import { SHA256 } from '../../tpm/algorithms.ts';
import { encodeTpmsNvPublic, NV_ATTRIBUTE } from '../../tpm/nv-public.ts';
import { approvalMessage, policyAuthorizeDigest, policyPcrDigest } from '../../tpm/policy-digest.ts';
import { FLOOR_RECORD_BYTES } from './floor-record.ts';

// The NV index of the floor. Root in a running system may delete and define it, but only stage-0 writes it: its policy
// wants PCR 4 and 11 of a build that the floor key approved, nothing given to it (12 and 13), and PCR 14 before the
// hand-over. A written index of this Name was therefore written by stage-0 (docs/protocol.md, "Floor record").

export const FLOOR_INDEX = 0x0180_b007;
export const FLOOR_POLICY_REF = asciiBytes('bootward-nv-v1');

/** What systemd-stub was given besides the image (parameters, extensions), and the hand-over: nothing of it yet. */
const ZERO_PCRS = [12, 13, 14];

/** Locked by stage-0, until the machine is reset. */
export type FloorIndexForm = 'unlocked' | 'locked';

/** The only policy by which it is written. */
export function floorPolicyOf(keyName: Uint8Array): Uint8Array {
  return policyAuthorizeDigest(SHA256, { keyName, policyRef: FLOOR_POLICY_REF });
}

const DEFINED =
  NV_ATTRIBUTE.POLICYWRITE +
  NV_ATTRIBUTE.WRITE_STCLEAR +
  NV_ATTRIBUTE.OWNERREAD +
  NV_ATTRIBUTE.AUTHREAD +
  NV_ATTRIBUTE.NO_DA;

const ATTRIBUTES: Readonly<Record<FloorIndexForm | 'unwritten', number>> = {
  unwritten: DEFINED,
  unlocked: DEFINED + NV_ATTRIBUTE.WRITTEN,
  locked: DEFINED + NV_ATTRIBUTE.WRITTEN + NV_ATTRIBUTE.WRITELOCKED,
};

/** TPMS_NV_PUBLIC of the index: the bytes that its Name covers. */
export function floorIndexPublic(keyName: Uint8Array, form: keyof typeof ATTRIBUTES): Uint8Array {
  return encodeTpmsNvPublic({
    nvIndex: FLOOR_INDEX,
    nameAlg: SHA256,
    attributes: ATTRIBUTES[form],
    authPolicy: floorPolicyOf(keyName),
    dataSize: FLOOR_RECORD_BYTES,
  });
}

/** What the floor key signs for a build that leaves these values: stage-0 may write before its hand-over. */
export function floorApprovalMessage({ pcr4, pcr11 }: { pcr4: Uint8Array; pcr11: Uint8Array }): Uint8Array {
  const zeros = ZERO_PCRS.map((pcr) => [pcr, new Uint8Array(SHA256.size)] as const);
  const pcrs = new Map([[4, pcr4], [11, pcr11], ...zeros]);
  const policyDigest = policyPcrDigest(SHA256, { bank: SHA256, pcrs });
  return approvalMessage({ policyDigest, policyRef: FLOOR_POLICY_REF });
}
