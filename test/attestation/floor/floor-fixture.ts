import { generateKeyPairSync, sign } from 'node:crypto';
import type { UntrustedFloorCertificate } from '../../../src/attestation/floor/floor-certification.ts';
import { type FloorIndexForm, floorIndexPublic } from '../../../src/attestation/floor/floor-index.ts';
import { floorKeyNameOf, parseFloorKey } from '../../../src/attestation/floor/floor-key.ts';
import {
  channelHashOf,
  encodeFloorRecord,
  type FloorRecord,
} from '../../../src/attestation/floor/floor-record.ts';
import { toBase64 } from '../../../src/core/bytes.ts';
import { buildNvCertify } from '../../../src/fleet-sim/chip/software-ak.ts';
import { computeName } from '../../../src/tpm/name.ts';
import { parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';
import { AK } from '../evidence-fixture.ts';

/** A floor key and what it signs. */
export function createFloorKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    privateKey,
    publicKey,
    floorKey: toBase64(publicKey.export({ type: 'spki', format: 'der' })),
    sign: (message: Uint8Array) => sign('sha256', message, privateKey),
  };
}

export const FLOOR_KEY = createFloorKey();
export const CHANNEL = 'demo';
export const VERSIONS = { root: 2, targets: 3, snapshot: 40, channel: 5 };
export const RECORD: FloorRecord = {
  ...VERSIONS,
  channelHash: channelHashOf(CHANNEL),
  signedAtSeconds: 1_799_000_000,
};

/** What a TPM of ours certifies: the record of that index, by the AK of the fixtures. */
export function certifyFloor(of: {
  extraData: Uint8Array;
  record?: FloorRecord;
  floorKey?: string;
  form?: FloorIndexForm | 'unwritten';
}): UntrustedFloorCertificate {
  const { extraData, record = RECORD, floorKey = FLOOR_KEY.floorKey, form = 'unlocked' } = of;
  const area = floorIndexPublic(floorKeyNameOf(parseFloorKey(floorKey)), form);
  const contents = encodeFloorRecord(record);
  const indexName = computeName(parseTpmsNvPublic(area));
  const attest = buildNvCertify({ extraData, indexName, contents });
  return { attest, signature: AK.sign(attest), contents };
}
