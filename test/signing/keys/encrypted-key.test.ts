import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { asciiBytes, fromBase64, fromHex, toBase64 } from '../../../src/core/bytes.ts';
import {
  decryptKey,
  type EncryptedKey,
  encodeEncryptedKey,
  encryptKey,
  MAX_SCRYPT_LOG_N,
  MIN_SCRYPT_LOG_N,
  parseEncryptedKey,
} from '../../../src/signing/keys/encrypted-key.ts';
import { createKeySigner } from '../../../src/signing/signer.ts';

const PASSPHRASE = 'correct horse battery staple';
const SEED = Buffer.concat([fromHex('302e020100300506032b657004220420'), Buffer.alloc(32, 7)]);
const PRIVATE_KEY = createPrivateKey({ key: SEED, format: 'der', type: 'pkcs8' });

const seal = (): Promise<EncryptedKey> =>
  encryptKey({
    privateKey: PRIVATE_KEY,
    passphrase: PASSPHRASE,
    random: (length) => new Uint8Array(length).fill(1),
    logN: MIN_SCRYPT_LOG_N,
  });

// biome-ignore lint/suspicious/noExplicitAny: tests flip parts of the document
type Document = any;

async function flipped(change: (document: Document) => void): Promise<Uint8Array> {
  const document = JSON.parse(Buffer.from(encodeEncryptedKey(await seal())).toString());
  change(document);
  return asciiBytes(JSON.stringify(document));
}

async function refuses(change: (document: Document) => void): Promise<void> {
  const bytes = await flipped(change);
  expect(() => parseEncryptedKey(bytes)).toThrow(expect.objectContaining({ code: 'key-file-invalid' }));
}

describe('an encrypted key', () => {
  it('opens with its passphrase and signs', async () => {
    const encrypted = parseEncryptedKey(encodeEncryptedKey(await seal()));
    const signer = createKeySigner(await decryptKey(encrypted, PASSPHRASE));
    expect(signer.keyId).toBe(encrypted.keyId);
    const message = asciiBytes('message');
    expect(verify(null, message, createPublicKey(PRIVATE_KEY), await signer.sign(message))).toBe(true);
  });

  it('shows its public key, and nothing of the private one', async () => {
    const text = Buffer.from(encodeEncryptedKey(await seal())).toString();
    expect(JSON.parse(text).key.keyval.public).toHaveLength(64);
    expect(text).not.toContain(toBase64(SEED));
    expect(text).not.toContain('07070707');
  });

  it('opens with a passphrase typed in another Unicode form', async () => {
    const sealed = await encryptKey({
      privateKey: PRIVATE_KEY,
      passphrase: 'caf\u00e9 au lait',
      random: (length) => new Uint8Array(length),
      logN: MIN_SCRYPT_LOG_N,
    });
    await expect(decryptKey(sealed, 'cafe\u0301 au lait')).resolves.toBeDefined();
  });

  it.each(['', 'correct horse battery stapl', `${PASSPHRASE} `, PASSPHRASE.toUpperCase()])(
    'does not open with %j, and says so without repeating it',
    async (passphrase) => {
      const error = await decryptKey(await seal(), passphrase).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'passphrase-wrong' });
      if (passphrase !== '') expect(String(error)).not.toContain(passphrase);
    },
  );
});

describe('an altered file', () => {
  it.each<[string, (document: Document) => void]>([
    ['ciphertext', (document) => Object.assign(document, { ciphertext: altered(document.ciphertext) })],
    ['salt', ({ kdf }) => Object.assign(kdf, { salt: altered(kdf.salt) })],
    ['nonce', ({ cipher }) => Object.assign(cipher, { nonce: altered(cipher.nonce) })],
    ['scrypt cost', ({ kdf }) => Object.assign(kdf, { logN: MIN_SCRYPT_LOG_N + 1 })],
  ])('does not open when its %s is another', async (_, change) => {
    const encrypted = parseEncryptedKey(await flipped(change));
    await expect(decryptKey(encrypted, PASSPHRASE)).rejects.toMatchObject({ code: 'passphrase-wrong' });
  });

  it('does not open when another public key stands in it', async () => {
    const other = createKeySigner(createPrivateKey({ key: otherSeed(), format: 'der', type: 'pkcs8' }));
    const encrypted = parseEncryptedKey(
      await flipped((document) => Object.assign(document, { key: other.key, keyId: other.keyId })),
    );
    await expect(decryptKey(encrypted, PASSPHRASE)).rejects.toMatchObject({ code: 'passphrase-wrong' });
  });

  it.each<[string, (document: Document) => void]>([
    ['another format', (document) => Object.assign(document, { format: 'bootward-key-v2' })],
    ['a key id that is not the key’s', (document) => Object.assign(document, { keyId: '00'.repeat(32) })],
    ['a scrypt cost below the bound', ({ kdf }) => Object.assign(kdf, { logN: MIN_SCRYPT_LOG_N - 1 })],
    [
      'a scrypt cost that would take all memory',
      ({ kdf }) => Object.assign(kdf, { logN: MAX_SCRYPT_LOG_N + 1 }),
    ],
    ['a scrypt cost in words', ({ kdf }) => Object.assign(kdf, { logN: '17' })],
    ['another r', ({ kdf }) => Object.assign(kdf, { r: 2 ** 20 })],
    ['another kdf', ({ kdf }) => Object.assign(kdf, { name: 'none' })],
    ['another cipher', ({ cipher }) => Object.assign(cipher, { name: 'aes-256-ctr' })],
    ['a short nonce', ({ cipher }) => Object.assign(cipher, { nonce: 'AAAA' })],
    ['a short salt', ({ kdf }) => Object.assign(kdf, { salt: '' })],
    ['a ciphertext shorter than its tag', (document) => Object.assign(document, { ciphertext: 'AAAA' })],
    ['an unknown member', (document) => Object.assign(document, { comment: 'x' })],
    ['no kdf', (document) => Object.assign(document, { kdf: undefined })],
  ])('is refused with %s', (_, change) => refuses(change));

  it('is refused when cut short', async () => {
    const bytes = encodeEncryptedKey(await seal());
    for (let length = 0; length < bytes.length - 1; length += 1)
      expect(() => parseEncryptedKey(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'key-file-invalid' }),
      );
  });
});

function altered(base64: string): string {
  const bytes = fromBase64(base64).slice();
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return toBase64(bytes);
}

function otherSeed(): Buffer {
  return Buffer.concat([SEED.subarray(0, 16), Buffer.alloc(32, 8)]);
}
