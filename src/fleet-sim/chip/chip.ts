import { createPrivateKey, type KeyObject } from 'node:crypto';
import { ekFingerprint } from '../../attestation/endorsement/ek-certificate.ts';
import { fromBase64, toBase64 } from '../../core/bytes.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { FleetError } from '../fleet-error.ts';
import type { Authority } from './manufacturer.ts';
import { createSoftwareAk, type SoftwareAk } from './software-ak.ts';
import { createSoftwareEk, type KeptEk, loadSoftwareEk } from './software-ek.ts';

/** The keys of one TPM in software: worth nothing as secrets, see {@link createSoftwareEk}. */
export interface Chip {
  readonly ek: KeptEk;
  readonly ak: SoftwareAk;
}

export async function createChip(manufacturer: Authority): Promise<Chip> {
  return { ek: await createSoftwareEk(manufacturer), ak: createSoftwareAk() };
}

export function fingerprintOf({ ek }: Chip): string {
  return ekFingerprint(ek.publicArea);
}

export function encodeChip({ ek, ak }: Chip): JsonObject {
  return {
    ek: encodeKey(ek.privateKey),
    ekCertificate: toBase64(ek.certificate),
    ak: encodeKey(ak.privateKey),
  };
}

/** @throws {FleetError} `fleet-folder` */
export function parseChip(value: JsonValue): Chip {
  try {
    if (!isJsonObject(value)) throw new TypeError('not an object');
    const { ek, ekCertificate, ak } = value;
    return {
      ek: loadSoftwareEk({ privateKey: parseKey(ek), certificate: fromBase64(String(ekCertificate)) }),
      ak: createSoftwareAk('p256', { privateKey: parseKey(ak) }),
    };
  } catch (cause) {
    throw new FleetError('fleet-folder', 'fleet.json holds a chip that is none of ours', { cause });
  }
}

function encodeKey(key: KeyObject): string {
  return toBase64(key.export({ type: 'pkcs8', format: 'der' }));
}

function parseKey(text: JsonValue | undefined): KeyObject {
  return createPrivateKey({ key: Buffer.from(fromBase64(String(text))), format: 'der', type: 'pkcs8' });
}
