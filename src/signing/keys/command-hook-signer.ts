import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { toHex } from '../../core/bytes.ts';
import { keyIdOf, tufKeyOf, verifySignature } from '../public-key.ts';
import type { Signer } from '../signer.ts';
import { HOOK_LIMITS, HookError, type HookLimits, runHook } from './command-hook.ts';
import { requireRsaPkcs1Key } from './rsa-pkcs1-key.ts';
import type { RsaPkcs1Signer } from './rsa-pkcs1-signer.ts';

export interface HookKey {
  /** Its public key is in PEM beside it: PROGRAM.pem. */
  readonly program: string;
  readonly limits?: HookLimits;
}

/** The program is asked for the key's scheme: `-a ed25519`, `-a ecdsa-sha2-nistp256`, …. @throws {HookError} */
export async function openHookSigner({ program, limits }: HookKey): Promise<Signer> {
  const key = tufKeyOf(await loadPublicKey(program));
  const ask = createQueue(limits);
  return {
    key,
    keyId: keyIdOf(key),
    async sign(message) {
      const signature = await ask({ program, algorithm: key.scheme, message });
      requireGood(program, verifySignature(key, message, toHex(signature)));
      return signature;
    },
  };
}

/** As rpi-eeprom-digest asks: `-a rsa2048-sha256`, for larger keys with their size. @throws {HookError} */
export async function openHookRsaSigner({ program, limits }: HookKey): Promise<RsaPkcs1Signer> {
  const publicKey = await loadPublicKey(program);
  requireRsaPkcs1Key(publicKey);
  const algorithm = `rsa${publicKey.asymmetricKeyDetails?.modulusLength}-sha256`;
  const ask = createQueue(limits);
  return {
    publicKey,
    async sign(message) {
      const signature = await ask({ program, algorithm, message });
      requireGood(program, verify('sha256', message, publicKey, signature));
      return signature;
    },
  };
}

type Ask = (hook: Parameters<typeof runHook>[0]) => Promise<Uint8Array>;

/** One at a time: behind such a program there is often one device. */
function createQueue(limits = HOOK_LIMITS): Ask {
  let last: Promise<unknown> = Promise.resolve();
  return (hook) => {
    const turn = last.then(
      () => runHook(hook, limits),
      () => runHook(hook, limits),
    );
    last = turn;
    return turn;
  };
}

async function loadPublicKey(program: string): Promise<KeyObject> {
  const file = `${program}.pem`;
  try {
    const pem = await readFile(file, 'utf8');
    if (/PRIVATE KEY/.test(pem)) throw new Error('it holds a private key');
    return createPublicKey(pem);
  } catch (cause) {
    throw new HookError(
      'hook-unusable',
      `${file} must be there, with the PUBLIC key of what ${program} signs with, in PEM`,
      { cause },
    );
  }
}

function requireGood(program: string, isGood: boolean): void {
  if (isGood) return;
  throw new HookError(
    'hook-answer-wrong',
    `${program} answered with a signature that ${program}.pem does not verify; nothing was signed`,
  );
}
