import { createHash } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';
import type { HashAlgorithm } from './algorithms.ts';
import { encodePcrSelections } from './pcr-selection.ts';
import { u32 } from './writer.ts';

/** TPM_CC (Part 2, section 6.5.2). */
const TPM_CC_POLICY_AUTHORIZE = 0x0000_016a;
const TPM_CC_POLICY_PCR = 0x0000_017f;

/** policyDigest of a session after TPM2_PolicyPCR alone (Part 3, section 23.7). */
export function policyPcrDigest(
  hash: HashAlgorithm,
  values: { bank: HashAlgorithm; pcrs: ReadonlyMap<number, Uint8Array> },
): Uint8Array {
  const selected = [...values.pcrs].sort(([a], [b]) => a - b);
  const selection = { hash: values.bank, pcrs: selected.map(([pcr]) => pcr) };
  const pcrDigest = digest(hash, ...selected.map(([, value]) => value));
  return digest(hash, startDigest(hash), u32(TPM_CC_POLICY_PCR), encodePcrSelections([selection]), pcrDigest);
}

/**
 * policyDigest of a session after TPM2_PolicyAuthorize (Part 3, section 23.16): it starts anew, so it is the same
 * whatever this key has approved.
 *
 * @param keyName Name of the key that approves.
 */
export function policyAuthorizeDigest(
  hash: HashAlgorithm,
  { keyName, policyRef }: { keyName: Uint8Array; policyRef: Uint8Array },
): Uint8Array {
  const named = digest(hash, startDigest(hash), u32(TPM_CC_POLICY_AUTHORIZE), keyName);
  return digest(hash, named, policyRef);
}

/** What that key signs to approve a policy, before it is hashed: aHash is the hash of this. */
export function approvalMessage({
  policyDigest,
  policyRef,
}: {
  policyDigest: Uint8Array;
  policyRef: Uint8Array;
}): Uint8Array {
  return concatBytes(policyDigest, policyRef);
}

function startDigest({ size }: HashAlgorithm): Uint8Array {
  return new Uint8Array(size);
}

function digest({ name }: HashAlgorithm, ...parts: readonly Uint8Array[]): Uint8Array {
  return createHash(name)
    .update(concatBytes(...parts))
    .digest();
}
