import { verify } from 'node:crypto';
import { fromHex } from '../../core/bytes.ts';
import { ED25519_SIGNATURE_BYTES, publicKeyOf, type TufKey } from '../ed25519.ts';
import type { UntrustedEnvelope } from './envelope.ts';
import { TufError } from './errors.ts';
import type { RoleKeys, RoleRule } from './role-keys.ts';

const SIGNATURE_HEX = new RegExp(`^[0-9a-f]{${ED25519_SIGNATURE_BYTES * 2}}$`);

/**
 * Counts distinct key *material*, not key ids or signatures: one holder of one key is one signer, however
 * often the key is listed. Signatures by keys outside the role, of unknown type, or wrong, count nothing.
 *
 * @throws {TufError} `tuf-threshold-not-met`
 */
export function verifyThreshold(envelope: UntrustedEnvelope, rule: RoleRule, keys: RoleKeys): void {
  const signers = new Set<string>();
  for (const keyId of rule.keyIds) {
    const key = keys.get(keyId);
    const signature = envelope.signatures.get(keyId);
    if (key === undefined || signature === undefined || signers.has(key.keyval.public)) continue;
    if (isSignedBy(envelope.canonical, signature, key)) signers.add(key.keyval.public);
  }
  if (signers.size < rule.threshold)
    throw new TufError(
      'tuf-threshold-not-met',
      `${envelope.role} version ${envelope.version} is signed by ${signers.size} of its keys, ${rule.threshold} must sign`,
    );
}

function isSignedBy(message: Uint8Array, signature: string, key: TufKey): boolean {
  return SIGNATURE_HEX.test(signature) && verify(null, message, publicKeyOf(key), fromHex(signature));
}
