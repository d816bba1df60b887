import { constants, type KeyObject, verify } from 'node:crypto';
import { bytesEqual, fromHex, sha256, toHex } from '../../core/bytes.ts';
import type { RsaPkcs1Signer } from '../keys/rsa-pkcs1-signer.ts';
import { PiError } from './pi-error.ts';

// `boot.sig`, beside `boot.img`: what the Raspberry Pi's bootloader verifies before it starts the image
// (raspberrypi/rpi-eeprom, rpi-eeprom-digest). Lines that end with one LF each:
//
//   <SHA-256 of the image, 64 hex digits>
//   ts: <Unix time>
//   target-soc: 2711|2712        (optional)
//   rsa2048: <512 hex digits: RSASSA-PKCS1-v1_5 with SHA-256 over the image>

export const TARGET_SOCS = ['2711', '2712'] as const;
export type TargetSoc = (typeof TARGET_SOCS)[number];

/** As read: nothing about it is verified. */
export interface BootSig {
  readonly sha256: Uint8Array;
  /** Covered by no signature: only the image is. */
  readonly timeSeconds: number;
  readonly targetSoc?: TargetSoc;
  readonly signature: Uint8Array;
}

const RSA_BITS = 2048;
const MAX_BOOT_SIG_BYTES = 1024;
const FORM =
  /^(?<digest>[0-9a-f]{64})\nts: (?<time>0|[1-9][0-9]{0,14})\n(?:target-soc: (?<soc>2711|2712)\n)?rsa2048: (?<signature>[0-9a-f]{512})\n$/;

/** Asks the signer once; what it answers was verified before it is returned. */
export async function createBootSig(input: {
  image: Uint8Array;
  timeSeconds: number;
  targetSoc?: TargetSoc;
  signer: RsaPkcs1Signer;
}): Promise<Uint8Array> {
  const { image, timeSeconds, targetSoc, signer } = input;
  requireRsa2048(signer.publicKey);
  const encoded = encodeBootSig({
    sha256: sha256(image),
    timeSeconds,
    ...(targetSoc === undefined ? {} : { targetSoc }),
    signature: await signer.sign(image),
  });
  verifyBootSig(parseBootSig(encoded), { image, publicKey: signer.publicKey });
  return encoded;
}

export function encodeBootSig({ sha256: digest, timeSeconds, targetSoc, signature }: BootSig): Uint8Array {
  const soc = targetSoc === undefined ? [] : [`target-soc: ${targetSoc}`];
  const lines = [toHex(digest), `ts: ${timeSeconds}`, ...soc, `rsa2048: ${toHex(signature)}`];
  return Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
}

/**
 * Takes the one form that rpi-eeprom-digest writes: lower case, this order, nothing else. Its form without
 * a signature, for EEPROM updates, is refused.
 */
export function parseBootSig(untrusted: Uint8Array): BootSig {
  const text = untrusted.length > MAX_BOOT_SIG_BYTES ? '' : Buffer.from(untrusted).toString('latin1');
  const { digest, time, soc, signature } = FORM.exec(text)?.groups ?? {};
  if (digest === undefined || time === undefined || signature === undefined)
    throw new PiError('boot-sig-malformed', 'this is not a boot.sig: digest, ts and rsa2048, as lines');
  const targetSoc = TARGET_SOCS.find((known) => known === soc);
  return {
    sha256: fromHex(digest),
    timeSeconds: Number(time),
    ...(targetSoc === undefined ? {} : { targetSoc }),
    signature: fromHex(signature),
  };
}

/** Both the digest and the signature are for this image. */
export function verifyBootSig(
  claimed: BootSig,
  { image, publicKey }: { image: Uint8Array; publicKey: KeyObject },
): void {
  requireRsa2048(publicKey);
  if (!bytesEqual(claimed.sha256, sha256(image)))
    throw new PiError('boot-sig-other-image', 'the boot.sig was made for another image: sign this one');
  const key = { key: publicKey, padding: constants.RSA_PKCS1_PADDING };
  if (!verify('sha256', image, key, claimed.signature))
    throw new PiError('boot-sig-invalid', 'the boot.sig is not by this key, or not for this image');
}

function requireRsa2048(key: KeyObject): void {
  if (key.asymmetricKeyType === 'rsa' && key.asymmetricKeyDetails?.modulusLength === RSA_BITS) return;
  throw new PiError('boot-sig-key', 'the Raspberry Pi bootloader verifies RSA-2048 only: use such a key');
}
