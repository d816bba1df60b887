import { constants, createCipheriv, createECDH, createHmac, publicEncrypt } from 'node:crypto';
import { asciiBytes, concatBytes, EMPTY } from '../core/bytes.ts';
import { CodedError, messageOf } from '../core/errors.ts';
import type { RandomSource } from '../core/random.ts';
import { ALG } from './algorithms.ts';
import { kdfa, kdfe } from './kdf.ts';
import { hasAttribute } from './object-attributes.ts';
import type { EccPublic, RsaPublic, SymmetricDefinition, TpmPublic } from './public-area.ts';
import { padInteger, toKeyObject } from './public-key.ts';
import { sized } from './writer.ts';

export class CredentialError extends CodedError<'ek-unsuitable' | 'credential-too-long'> {}

export interface Credential {
  /** TPM2B_ID_OBJECT (Part 2, section 12.4.3). */
  credentialBlob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET (section 11.4.33). */
  encryptedSecret: Uint8Array;
}

interface Seed {
  seed: Uint8Array;
  encryptedSeed: Uint8Array;
}

const LABEL = 'IDENTITY';
const ZERO_IV = new Uint8Array(16);
/** 521 bits: all but one of the first byte must be zero, or hardly any draw would be a scalar. */
const P521_BYTES = 66;

/**
 * TPM2_MakeCredential in software (Part 1, section 24): only the TPM that holds the EK, and in it an
 * object with exactly this Name, gives `credential` back.
 *
 * @throws {CredentialError} when the EK is no storage key or its numbers are none that a key can have, or
 *   the credential is longer than its name digest
 */
export function makeCredential(input: {
  ekPublic: TpmPublic;
  objectName: Uint8Array;
  credential: Uint8Array;
  random: RandomSource;
}): Credential {
  const { ekPublic, objectName, credential, random } = input;
  const symmetric = storageCipherOf(ekPublic);
  if (credential.length > ekPublic.nameAlg.size)
    throw new CredentialError('credential-too-long', `at most ${ekPublic.nameAlg.size} bytes fit this EK`);
  const { seed, encryptedSeed } = makeSeed(ekPublic, random);
  const idObject = protect({ ekPublic, symmetric, seed, objectName, credential });
  return { credentialBlob: sized(idObject), encryptedSecret: sized(encryptedSeed) };
}

/** A key may be well-formed and still be one that OpenSSL cannot calculate with. */
function makeSeed(ekPublic: TpmPublic, random: RandomSource): Seed {
  try {
    return ekPublic.type === 'rsa' ? rsaSeed(ekPublic, LABEL, random) : eccSeed(ekPublic, LABEL, random);
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new CredentialError('ek-unsuitable', `nothing can be encrypted to the EK: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Part 1, annex B.10.4: OAEP under the EK's nameAlg, label with its NUL. */
export function rsaSeed(ekPublic: RsaPublic, label: string, random: RandomSource): Seed {
  const seed = random(ekPublic.nameAlg.size);
  const encryptedSeed = publicEncrypt(
    {
      key: toKeyObject(ekPublic),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: ekPublic.nameAlg.name,
      oaepLabel: asciiBytes(`${label}\0`),
    },
    seed,
  );
  return { seed, encryptedSeed };
}

/** Part 1, annex C.6.1: one-pass ECDH; the encrypted seed is the ephemeral TPMS_ECC_POINT. */
export function eccSeed(ekPublic: EccPublic, label: string, random: RandomSource): Seed {
  const { nameAlg, curve } = ekPublic;
  const size = curve.coordinateSize;
  const ecdh = createECDH(curve.ecdhName);
  setEphemeralKey(ecdh, size, random);
  const ephemeral = ecdh.getPublicKey();
  const x = padInteger(ekPublic.x, size);
  const z = padInteger(
    ecdh.computeSecret(concatBytes(Uint8Array.of(4), x, padInteger(ekPublic.y, size))),
    size,
  );
  const ephemeralX = ephemeral.subarray(1, 1 + size);
  const ephemeralY = ephemeral.subarray(1 + size);
  return {
    seed: kdfe({ hash: nameAlg, z, label, partyU: ephemeralX, partyV: x, bits: 8 * nameAlg.size }),
    encryptedSeed: concatBytes(sized(ephemeralX), sized(ephemeralY)),
  };
}

/** Rejection sampling (FIPS 186-5, A.2.2): a scalar outside [1, n-1] is drawn again. */
function setEphemeralKey(ecdh: ReturnType<typeof createECDH>, size: number, random: RandomSource): void {
  const ATTEMPTS = 64;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const scalar = Buffer.from(random(size));
    if (size === P521_BYTES) scalar.writeUInt8(scalar.readUInt8(0) & 1, 0);
    try {
      ecdh.setPrivateKey(scalar);
      return;
    } catch (cause) {
      if (attempt === ATTEMPTS - 1)
        throw new CredentialError('ek-unsuitable', 'no ephemeral key could be drawn', { cause });
    }
  }
}

/** Part 1, section 24.4: encrypt, then HMAC over ciphertext and Name, each with a key derived from the seed. */
function protect(input: {
  ekPublic: TpmPublic;
  symmetric: SymmetricDefinition;
  seed: Uint8Array;
  objectName: Uint8Array;
  credential: Uint8Array;
}): Uint8Array {
  const { ekPublic, symmetric, seed, objectName, credential } = input;
  const hash = ekPublic.nameAlg;
  const derive = (label: string, contextU: Uint8Array, bits: number) =>
    kdfa({ hash, key: seed, label, contextU, contextV: EMPTY, bits });
  const cipherKey = derive('STORAGE', objectName, symmetric.keyBits);
  const cipher = createCipheriv(`aes-${symmetric.keyBits}-cfb`, cipherKey, ZERO_IV);
  const encIdentity = concatBytes(cipher.update(sized(credential)), cipher.final());
  const hmacKey = derive('INTEGRITY', EMPTY, 8 * hash.size);
  const integrity = createHmac(hash.name, hmacKey).update(encIdentity).update(objectName).digest();
  return concatBytes(sized(integrity), encIdentity);
}

function storageCipherOf(ekPublic: TpmPublic): SymmetricDefinition {
  const { symmetric, attributes } = ekPublic;
  if (!hasAttribute(attributes, 'restricted') || !hasAttribute(attributes, 'decrypt'))
    throw new CredentialError('ek-unsuitable', 'the EK is not a restricted decryption key');
  if (symmetric === undefined || symmetric.mode !== ALG.CFB)
    throw new CredentialError('ek-unsuitable', 'the EK names no AES-CFB');
  return symmetric;
}
