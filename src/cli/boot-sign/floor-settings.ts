import { floorPolicyOf } from '../../attestation/floor/floor-index.ts';
import { floorKeyNameOf, parseFloorKey } from '../../attestation/floor/floor-key.ts';
import { toBase64, toHex, utf8Bytes } from '../../core/bytes.ts';
import { publicKeyOf, type TufKey } from '../../signing/public-key.ts';

/** What is baked into a stage-0 that keeps a floor, by file in /etc/bootward. */
export type FloorSettings = Readonly<Record<'floor-key.pem' | 'floor-index', Uint8Array>>;

/** SubjectPublicKeyInfo in base64, as a stage-0 listing has it. */
export function floorSpkiOf(key: TufKey): string {
  return toBase64(publicKeyOf(key).export({ type: 'spki', format: 'der' }));
}

/**
 * The key for the TPM, and what a node would else have to compute from it at each boot: the key's Name there and the
 * policy of the index that its approvals can write. Wrong ones would be of no index that could be written.
 *
 * @throws {FloorKeyError} for a key of another kind than P-256
 */
export function floorSettingsOf(key: TufKey): FloorSettings {
  const keyName = floorKeyNameOf(parseFloorKey(floorSpkiOf(key)));
  return {
    'floor-key.pem': utf8Bytes(key.keyval.public),
    'floor-index': utf8Bytes(`${toHex(keyName)} ${toHex(floorPolicyOf(keyName))}\n`),
  };
}
