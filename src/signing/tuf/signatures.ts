import { keyMaterialOf, verifySignature } from '../public-key.ts';
import type { UntrustedEnvelope } from './envelope.ts';
import { TufError } from './errors.ts';
import type { RoleKeys, RoleRule } from './role-keys.ts';

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
    if (key === undefined || signature === undefined) continue;
    if (verifySignature(key, envelope.canonical, signature)) signers.add(keyMaterialOf(key));
  }
  if (signers.size < rule.threshold)
    throw new TufError(
      'tuf-threshold-not-met',
      `${envelope.role} version ${envelope.version} is signed by ${signers.size} of its keys, ${rule.threshold} must sign`,
    );
}
