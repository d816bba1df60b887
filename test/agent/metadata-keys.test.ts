import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { createPrivateKeyFor, keyIdOf, type TufKey } from '../../src/signing/public-key.ts';
import { createKeySigner, type Signer } from '../../src/signing/signer.ts';
import { parseTargets } from '../../src/signing/tuf/targets.ts';
import { openScriptedLab, type ScriptedLab } from './scripted-lab.ts';
import { createSignedWorld, newSigners, type WorldChanges } from './signed-world.ts';

// Keys of every kind, as the agent's openssl verifies them: what the TypeScript reader counts, the agent
// counts, and what it does not count (ML-DSA), no threshold may need.

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
afterAll(() => lab.close());

const ED25519 = newSigners(2);
const ECDSA = createKeySigner(createPrivateKeyFor('ecdsa-sha2-nistp256'));
const RSA = createKeySigner(createPrivateKeyFor('rsassa-pss-sha256'));
const ML_DSA = createKeySigner(createPrivateKeyFor('ml-dsa-65'));

interface Channel {
  /** What the delegation names. */
  keys: readonly { keyId: string; key: object }[];
  threshold: number;
  /** Who signs; those who may, unless told. */
  signers?: readonly Signer[];
}

function channelOf({ keys, threshold, signers }: Channel): WorldChanges {
  const targets = (document: JsonObject): JsonObject => {
    const { delegations } = document as {
      delegations: { keys: JsonObject; roles: { keyids: string[]; threshold: number }[] };
    };
    for (const { keyId, key } of keys) delegations.keys[keyId] = key as JsonObject;
    const [role] = delegations.roles;
    if (role === undefined) throw new Error('the lab delegates to its channel');
    Object.assign(role, { keyids: keys.map(({ keyId }) => keyId), threshold });
    return document;
  };
  return { targets, channelSigners: (signers ?? keys) as Signer[] };
}

async function stopCodeOf(channel: Channel): Promise<string | undefined> {
  return (await lab.run({ world: channelOf(channel) })).stopCode;
}

/** The same key that signs in another way. */
const signingBy = ({ keyId, key }: Signer, make: (message: Uint8Array) => Uint8Array): Signer => ({
  keyId,
  key,
  sign: async (message) => make(message),
});

/** A key that `tufKeyOf` would not write. */
function handMade(privateKey: KeyObject, publicHalf: string, like: Signer) {
  const key: TufKey = { ...like.key, keyval: { public: publicHalf } };
  return {
    keyId: keyIdOf(key),
    key,
    sign: async (message: Uint8Array) => sign('sha256', message, privateKey),
  };
}

describe('a channel is signed', () => {
  it.each<[string, readonly Signer[]]>([
    ['by P-256', [ECDSA]],
    ['by RSA-PSS', [RSA]],
    ['by one key of each kind that agents verify', [ECDSA, RSA, ...ED25519.slice(0, 1)]],
  ])('%s', async (_, keys) => {
    expect(await stopCodeOf({ keys, threshold: keys.length })).toBeUndefined();
  });

  it('by a classical and a post-quantum key, when one signature is enough', async () => {
    expect(await stopCodeOf({ keys: [ML_DSA, ECDSA], threshold: 1 })).toBeUndefined();
  });

  it('not by a post-quantum key in place of a second one', async () => {
    expect(await stopCodeOf({ keys: [ML_DSA, ECDSA], threshold: 2 })).toBe('metadata-signature');
  });
});

describe('S14 a signature in another encoding is none', () => {
  const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const rsaKey = generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey;
  const [ecdsa, rsa] = [createKeySigner(privateKey), createKeySigner(rsaKey)];
  const derOf = (message: Uint8Array, length?: number): Buffer => {
    const signature = sign('sha256', message, privateKey);
    return length === undefined || signature.length === length ? signature : derOf(message, length);
  };
  const pssOf = (message: Uint8Array, saltLength: number) =>
    sign('sha256', message, { key: rsaKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });

  it.each<[string, Signer]>([
    [
      'P1363',
      signingBy(ecdsa, (message) => sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
    ],
    // OpenSSL's tool reads as many bytes as the longest signature has, and no more.
    ...[70, 71, 72].map((length): [string, Signer] => [
      `DER of ${length} bytes with one behind them`,
      signingBy(ecdsa, (message) => Buffer.concat([derOf(message, length), Buffer.alloc(1)])),
    ]),
    [
      'PSS with a byte behind it',
      signingBy(rsa, (message) => Buffer.concat([pssOf(message, 32), Buffer.alloc(1)])),
    ],
    [
      'BER with a long length',
      signingBy(ecdsa, (message) => Buffer.concat([Buffer.from([0x30, 0x81]), derOf(message).subarray(1)])),
    ],
    ['SHA-384', signingBy(ecdsa, (message) => sign('sha384', message, privateKey))],
    ['RSA PKCS#1 v1.5', signingBy(rsa, (message) => sign('sha256', message, rsaKey))],
    ['PSS with a salt of 20 bytes', signingBy(rsa, (message) => pssOf(message, 20))],
  ])('%s', async (_, signer) => {
    expect(await stopCodeOf({ keys: [signer], threshold: 1 })).toBe('metadata-signature');
  });
});

it('S14 the longest signature in DER is one', async () => {
  const privateKey = createPrivateKeyFor('ecdsa-sha2-nistp256');
  const longest = (message: Uint8Array): Buffer => {
    const signature = sign('sha256', message, privateKey);
    return signature.length === 72 ? signature : longest(message);
  };
  const keys = [signingBy(createKeySigner(privateKey), longest)];
  expect(await stopCodeOf({ keys, threshold: 1 })).toBeUndefined();
});

describe('a key of another kind than its scheme counts nothing', () => {
  const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const rsa2048 = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const exponent3 = generateKeyPairSync('rsa', { modulusLength: 3072, publicExponent: 3 });
  const rsa3072 = generateKeyPairSync('rsa', { modulusLength: 3072 });

  it.each<[string, ReturnType<typeof handMade>]>([
    ['P-384', handMade(p384.privateKey, pemOf(p384.publicKey), ECDSA)],
    ['RSA-2048', handMade(rsa2048.privateKey, pemOf(rsa2048.publicKey), RSA)],
    ['RSA with exponent 3', handMade(exponent3.privateKey, pemOf(exponent3.publicKey), RSA)],
    ['RSA as ECDSA', handMade(rsa3072.privateKey, pemOf(rsa3072.publicKey), ECDSA)],
  ])('%s', async (_, key) => {
    expect(await stopCodeOf({ keys: [key], threshold: 1 })).toBe('metadata-signature');
  });
});

describe('S3 one key counts once', () => {
  it('under two ids', async () => {
    const alias = { ...ECDSA, keyId: 'f'.repeat(64) };
    expect(await stopCodeOf({ keys: [ECDSA, alias], threshold: 2 })).toBe('metadata-signature');
  });

  it('in two spellings', async () => {
    const wrapped = ECDSA.key.keyval.public.replace(/\n([A-Za-z0-9+/]{20})/, '\n$1\n');
    const key = { ...ECDSA.key, keyval: { public: wrapped } };
    const other = { ...ECDSA, key, keyId: keyIdOf(key) };
    expect(wrapped).not.toBe(ECDSA.key.keyval.public);
    expect(await stopCodeOf({ keys: [ECDSA, other], threshold: 2 })).toBe('metadata-signature');
  });
});

describe('a key in PEM has one spelling', () => {
  const pem = ECDSA.key.keyval.public;

  it.each<[string, string]>([
    ['a line of another length', pem.replace(/\n([A-Za-z0-9+/]{20})/, '\n$1\n')],
    ['a blank line', pem.replace('-----\n', '-----\n\n')],
    ['a space', pem.replace('\n-----END', ' \n-----END')],
    ['another label', pem.replace('\n-----END', '\n-----X\n-----END')],
    ['no end', pem.replace(/-----END.*\n/, '')],
    ['text behind it', `${pem}text\n`],
  ])('with %s it counts nothing', async (_, publicHalf) => {
    const key = { ...ECDSA.key, keyval: { public: publicHalf } };
    const other = { ...ECDSA, key, keyId: keyIdOf(key) };
    expect(await stopCodeOf({ keys: [other], threshold: 1 })).toBe('metadata-signature');
    const { files } = await createSignedWorld(lab.keys, channelOf({ keys: [other], threshold: 1 }));
    expect(() => parseTargets(files.get('1.targets.json') ?? new Uint8Array())).toThrow(/targets/);
  });

  it.each(['', '\n', '\n\n\n'])('with %j behind its last line it counts', async (behind) => {
    const key = { ...ECDSA.key, keyval: { public: pem.trimEnd() + behind } };
    const other = { ...ECDSA, key, keyId: keyIdOf(key) };
    const channel = { keys: [other], threshold: 1 };
    expect(await stopCodeOf(channel)).toBeUndefined();
    const { files } = await createSignedWorld(lab.keys, channelOf(channel));
    expect(() => parseTargets(files.get('1.targets.json') ?? new Uint8Array())).not.toThrow();
  });

  it.each([
    [' ', 'metadata-signature'],
    ['\n ', 'metadata-signature'],
    [' \n', 'metadata-signature'],
    ['\t', 'metadata-malformed'],
    ['\r\n', 'metadata-malformed'],
  ])('with %j behind its last line it counts nothing', async (behind, stopCode) => {
    const key = { ...ECDSA.key, keyval: { public: pem.trimEnd() + behind } };
    const channel = { keys: [{ ...ECDSA, key, keyId: keyIdOf(key) }], threshold: 1 };
    expect(await stopCodeOf(channel)).toBe(stopCode);
    const { files } = await createSignedWorld(lab.keys, channelOf(channel));
    expect(() => parseTargets(files.get('1.targets.json') ?? new Uint8Array())).toThrow(/targets/);
  });

  it('RSA-4096, whose last line is full or not', async () => {
    const rsa = createKeySigner(generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey);
    expect(await stopCodeOf({ keys: [rsa, ECDSA], threshold: 2 })).toBeUndefined();
  });
});

describe('lines stand in keys in PEM and nowhere else', () => {
  const malformed = (key: object) => ({ keys: [ECDSA, { keyId: 'e'.repeat(64), key }], threshold: 1 });
  const pem = ECDSA.key.keyval.public;

  it.each<[string, object]>([
    [
      'a forged line of the agent’s own',
      {
        keytype: 'ed25519',
        scheme: 'ed25519',
        keyval: { public: `${'a'.repeat(64)}\nsignature ed25519 x y` },
      },
    ],
    ['another member', { ...ECDSA.key, note: pem }],
    ['a name', { ...ECDSA.key, 'two\nlines': '' }],
    ['a text that does not begin as PEM', { ...ECDSA.key, keyval: { public: pem.slice(5) } }],
    ['a tab within', { ...ECDSA.key, keyval: { public: pem.replace('MF', 'M\tF') } }],
    ['a backslash beside', { ...ECDSA.key, note: 'back\\slash' }],
  ])('%s is refused by the agent and by the server', async (_, key) => {
    const channel = { ...malformed(key), signers: [ECDSA] };
    expect(await stopCodeOf(channel)).toBe('metadata-malformed');
    const { files } = await createSignedWorld(lab.keys, channelOf(channel));
    expect(() => parseTargets(files.get('1.targets.json') ?? new Uint8Array())).toThrow(/targets/);
  });

  it('a forged line in the PEM of an Ed25519 key gives no signature', async () => {
    const [stranger] = newSigners(1) as [Signer];
    const forged = `-----BEGIN PUBLIC KEY-----\nsignature ed25519 ${stranger.key.keyval.public} ${'0'.repeat(128)}\n`;
    const key = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: forged } };
    const keys = [ECDSA, { keyId: 'e'.repeat(64), key }];
    expect(await stopCodeOf({ keys, threshold: 1, signers: [stranger] })).toBe('metadata-signature');
  });
});
