import { floorPolicyOf } from '../../attestation/floor/floor-index.ts';
import { floorKeyNameOf, floorKeyPublicOf, parseFloorKey } from '../../attestation/floor/floor-key.ts';
import { concatBytes, toBase64, toHex, utf8Bytes } from '../../core/bytes.ts';
import { publicKeyOf, type TufKey } from '../../signing/public-key.ts';
import { u16 } from '../../tpm/writer.ts';

/** What is baked into a stage-0 that keeps a floor, by file in /etc/bootward. */
export type FloorSettings = Readonly<Record<'floor-key', Uint8Array>>;

/** SubjectPublicKeyInfo in base64, as a stage-0 listing has it. */
export function floorSpkiOf(key: TufKey): string {
  return toBase64(publicKeyOf(key).export({ type: 'spki', format: 'der' }));
}

/**
 * The key as the TPM takes it (TPM2B_PUBLIC), its Name there, and the policy of the index that its approvals can write:
 * hex, in one line. A node could compute the latter two, at each boot. Wrong ones would be of no index that could be
 * written.
 *
 * @throws {FloorKeyError} for a key of another kind than P-256
 */
export function floorSettingsOf(key: TufKey): FloorSettings {
  const spki = parseFloorKey(floorSpkiOf(key));
  const area = floorKeyPublicOf(spki);
  const keyName = floorKeyNameOf(spki);
  const words = [concatBytes(u16(area.length), area), keyName, floorPolicyOf(keyName)];
  return { 'floor-key': utf8Bytes(`${words.map(toHex).join(' ')}\n`) };
}
