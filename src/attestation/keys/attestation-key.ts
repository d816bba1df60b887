import type { KeyObject } from 'node:crypto';
import { toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { computeName } from '../../tpm/name.ts';
import { parseTpmtPublic, type TpmPublic } from '../../tpm/public-area.ts';
import { toKeyObject } from '../../tpm/public-key.ts';
import { Refusal } from '../reasons.ts';
import { verifyAkAttributes } from './ak.ts';

/** An attestation key whose attributes hold, ready to verify with: made once, used for many quotes. */
export interface AttestationKey {
  publicArea: TpmPublic;
  key: KeyObject;
  /** Hex Name. */
  name: string;
}

/**
 * @param trustedPublic TPMT_PUBLIC from the store, never from the request (Q57)
 * @throws {Refusal} with one of the `ak-…` codes
 */
export function loadAttestationKey(trustedPublic: Uint8Array): AttestationKey {
  const { publicArea, key } = readKey(trustedPublic);
  verifyAkAttributes(publicArea);
  return { publicArea, key, name: toHex(computeName(publicArea)) };
}

function readKey(bytes: Uint8Array): Pick<AttestationKey, 'publicArea' | 'key'> {
  try {
    const publicArea = parseTpmtPublic(bytes);
    return { publicArea, key: toKeyObject(publicArea) };
  } catch (cause) {
    throw new Refusal('ak-malformed', `attestation key: ${messageOf(cause)}`, { cause });
  }
}
