import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  type webcrypto,
} from 'node:crypto';
import { type AttestationKey, loadAttestationKey } from '../../attestation/keys/attestation-key.ts';
import { EMPTY, fromBase64Url } from '../../core/bytes.ts';
import { ALG, curveById, type HashAlgorithm, hashById } from '../../tpm/algorithms.ts';
import { encodeTpmsAttest, type NvAttest, type QuoteAttest } from '../../tpm/attest.ts';
import { attributesOf } from '../../tpm/object-attributes.ts';
import { encodeTpmtPublic } from '../../tpm/public-area.ts';
import { encodeTpmtSignature } from '../../tpm/signature.ts';

/** A TPM in software: an attestation key of node:crypto that signs TPMS_ATTEST structures of our own writer. */
export interface SoftwareAk {
  /** TPMT_PUBLIC */
  publicBytes: Uint8Array;
  /** TPMT_SIGNATURE over the bytes. */
  sign(attest: Uint8Array): Uint8Array;
  privateKey: KeyObject;
  hash: HashAlgorithm;
  load(): AttestationKey;
}

export type AkKind = 'p256' | 'p384' | 'rsassa' | 'rsapss';

export const AK_ATTRIBUTES = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'noDA',
  'restricted',
  'sign',
);

export function hashOf(id: number): HashAlgorithm {
  const hash = hashById(id);
  if (hash === undefined) throw new Error(`no hash ${id}`);
  return hash;
}

export const SHA256 = hashOf(ALG.SHA256);

interface AkOptions {
  attributes?: number;
  nameAlg?: HashAlgorithm;
  symmetric?: { keyBits: 128; mode: number };
  scheme?: { id: number; hash?: HashAlgorithm };
  rsaBits?: number;
  rsaExponent?: number;
  /** One that was made before, of the right kind; only for an ECC key. */
  privateKey?: KeyObject;
}

export function createSoftwareAk(kind: AkKind = 'p256', options: AkOptions = {}): SoftwareAk {
  return kind === 'p256' || kind === 'p384' ? createEccAk(kind, options) : createRsaAk(kind, options);
}

function createEccAk(kind: 'p256' | 'p384', options: AkOptions): SoftwareAk {
  const curve = curveById(kind === 'p256' ? 3 : 4);
  if (curve === undefined) throw new Error('no such curve');
  const hash = hashOf(kind === 'p256' ? ALG.SHA256 : ALG.SHA384);
  const { privateKey = generateKeyPairSync('ec', { namedCurve: curve.ecdhName }).privateKey } = options;
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  const publicBytes = encodeTpmtPublic({
    type: 'ecc',
    ...commonOf(options, { id: ALG.ECDSA, hash }),
    curve,
    x: coordinate(jwk, 'x'),
    y: coordinate(jwk, 'y'),
  });
  return {
    publicBytes,
    privateKey,
    hash,
    load: () => loadAttestationKey(publicBytes),
    sign: (attest) => {
      const pair = sign(hash.name, attest, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      const half = pair.length / 2;
      return encodeTpmtSignature({
        scheme: ALG.ECDSA,
        hash,
        r: pair.subarray(0, half),
        s: pair.subarray(half),
      });
    },
  };
}

function createRsaAk(kind: 'rsassa' | 'rsapss', options: AkOptions): SoftwareAk {
  const keyBits = options.rsaBits ?? 2048;
  const exponent = options.rsaExponent ?? 65537;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: keyBits,
    publicExponent: exponent,
  });
  const scheme = kind === 'rsassa' ? ALG.RSASSA : ALG.RSAPSS;
  const publicBytes = encodeTpmtPublic({
    type: 'rsa',
    ...commonOf(options, { id: scheme, hash: SHA256 }),
    keyBits,
    exponent,
    modulus: coordinate(publicKey.export({ format: 'jwk' }), 'n'),
  });
  const padding = kind === 'rsassa' ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_PSS_PADDING;
  return {
    publicBytes,
    privateKey,
    hash: SHA256,
    load: () => loadAttestationKey(publicBytes),
    sign: (attest) =>
      encodeTpmtSignature({
        scheme,
        hash: SHA256,
        signature: sign('sha256', attest, { key: privateKey, padding }),
      }),
  };
}

function commonOf(options: AkOptions, scheme: { id: number; hash: HashAlgorithm }) {
  return {
    nameAlg: options.nameAlg ?? SHA256,
    attributes: options.attributes ?? AK_ATTRIBUTES,
    authPolicy: EMPTY,
    ...(options.symmetric && { symmetric: options.symmetric }),
    scheme: options.scheme ?? scheme,
  };
}

function coordinate(jwk: webcrypto.JsonWebKey, field: 'x' | 'y' | 'n'): Uint8Array {
  return fromBase64Url(jwk[field] ?? '');
}

export const CLOCK_INFO = { clock: 123_456n, resetCount: 7, restartCount: 2, safe: true };
export const FIRMWARE_VERSION = 0x2016_0511_0016_2800n;

/** A quote over these PCR values of one bank, changed by `changes` before anyone signs it. */
export function buildQuote(input: {
  ak: SoftwareAk;
  extraData: Uint8Array;
  pcrs: ReadonlyMap<number, Uint8Array>;
  bank?: HashAlgorithm;
  changes?: Partial<QuoteAttest>;
}): Uint8Array {
  const { ak, extraData, pcrs, bank = SHA256, changes } = input;
  const selected = [...pcrs.keys()].sort((a, b) => a - b);
  const digest = createHash(ak.hash.name);
  for (const pcr of selected) digest.update(pcrs.get(pcr) ?? EMPTY);
  return encodeTpmsAttest({
    type: 'quote',
    qualifiedSigner: new Uint8Array(34).fill(0x22),
    extraData,
    clockInfo: CLOCK_INFO,
    firmwareVersion: FIRMWARE_VERSION,
    selections: [{ hash: bank, pcrs: selected }],
    pcrDigest: digest.digest(),
    ...changes,
  });
}

export function buildNvCertify(input: {
  extraData: Uint8Array;
  indexName: Uint8Array;
  contents: Uint8Array;
  changes?: Partial<NvAttest>;
}): Uint8Array {
  return encodeTpmsAttest({
    type: 'nv',
    qualifiedSigner: new Uint8Array(34).fill(0x22),
    clockInfo: CLOCK_INFO,
    firmwareVersion: FIRMWARE_VERSION,
    extraData: input.extraData,
    indexName: input.indexName,
    offset: 0,
    contents: input.contents,
    ...input.changes,
  });
}
