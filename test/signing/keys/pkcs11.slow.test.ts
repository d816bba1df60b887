import { generateKeyPairSync, verify } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asciiBytes, toHex } from '../../../src/core/bytes.ts';
import { createAuthority } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { KeyOpener, type KeyOpenerOptions } from '../../../src/signing/keys/open-key.ts';
import { createPrivateKeyFor, tufKeyOf, verifySignature } from '../../../src/signing/public-key.ts';
import { PIN, SOFTHSM_MODULE, SoftHsm } from './pkcs11-softhsm.ts';

const MESSAGE = asciiBytes('{"_type":"timestamp"}');
const P256 = 'ecdsa-sha2-nistp256';

const keys = {
  ed25519: createPrivateKeyFor('ed25519'),
  [P256]: createPrivateKeyFor(P256),
  'rsassa-pss-sha256': createPrivateKeyFor('rsassa-pss-sha256'),
};
const rsa2048 = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const other = createPrivateKeyFor(P256);

let hsm: SoftHsm;
beforeAll(async () => {
  hsm = await SoftHsm.create();
  await hsm.createToken('release');
  await hsm.createToken('other');
  let id = 0;
  for (const [label, privateKey] of Object.entries({ ...keys, rsa2048 }))
    await hsm.importKey({ token: 'release', label, id: `0${++id}`, privateKey });
  await hsm.importKey({ token: 'other', label: P256, id: '02', privateKey: other });
});
afterAll(() => hsm.remove());

const opened: KeyOpener[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((opener) => opener.close()));
});

function createOpener(options: Partial<KeyOpenerOptions> = {}): KeyOpener {
  const secrets = { pinOf: async () => PIN, passphraseOf: async () => '' };
  const opener = new KeyOpener({ secrets, ...options });
  opened.push(opener);
  return opener;
}

const reference = (rest: string) => `pkcs11:${rest}?module-path=${SOFTHSM_MODULE}`;
const release = (label: string) => reference(`token=release;object=${label}`);

describe('keys in a token', () => {
  it.each(Object.entries(keys))(
    'sign with %s as the table of algorithms says',
    async (scheme, privateKey) => {
      const signer = await createOpener().open(release(scheme));
      expect(signer.key).toEqual(tufKeyOf(privateKey));
      expect(verifySignature(signer.key, MESSAGE, toHex(await signer.sign(MESSAGE)))).toBe(true);
    },
  );

  it.each(['rsa2048', 'rsassa-pss-sha256'])('sign with PKCS#1 v1.5: %s', async (label) => {
    const signer = await createOpener().openRsaPkcs1(release(label));
    expect(verify('sha256', MESSAGE, signer.publicKey, await signer.sign(MESSAGE))).toBe(true);
  });

  it('sign no metadata with RSA-2048, and no boot.sig with P-256', async () => {
    const opener = createOpener();
    await expect(opener.open(release('rsa2048'))).rejects.toMatchObject({ code: 'key-invalid' });
    await expect(opener.openRsaPkcs1(release(P256))).rejects.toMatchObject({ code: 'rsa-key-unsuitable' });
  });

  it('are found by label, by id and by both', async () => {
    const opener = createOpener();
    for (const name of [`object=${P256}`, 'id=%02', `id=%02;object=${P256};type=private`])
      expect((await opener.open(reference(`token=release;${name}`))).key).toEqual(tufKeyOf(keys[P256]));
  });

  it('are those of the token that is named, of two at once', async () => {
    const opener = createOpener();
    const signers = await Promise.all([
      opener.open(release(P256)),
      opener.open(reference(`token=other;object=${P256}`)),
    ]);
    expect(signers.map(({ key }) => key)).toEqual([keys[P256], other].map(tufKeyOf));
    const signatures = await Promise.all(signers.map((signer) => signer.sign(MESSAGE)));
    for (const [index, signer] of signers.entries())
      expect(verifySignature(signer.key, MESSAGE, toHex(signatures[index] ?? MESSAGE))).toBe(true);
  });

  it('sign many messages at once through the pool, each its own', async () => {
    const opener = createOpener();
    const [one, two] = await Promise.all([opener.open(release(P256)), opener.open(release('ed25519'))]);
    const messages = Array.from({ length: 60 }, (_, index) => asciiBytes(`message ${index}`));
    const signers = messages.map((_, index) => (index % 2 === 0 ? one : two));
    const signatures = await Promise.all(
      messages.map((message, index) => (signers[index] ?? one).sign(message)),
    );
    for (const [index, message] of messages.entries())
      expect(verifySignature((signers[index] ?? one).key, message, toHex(signatures[index] ?? message))).toBe(
        true,
      );
  });

  it('sign what the caller passed, not what it makes of the buffer afterwards', async () => {
    const signer = await createOpener().open(release('ed25519'));
    const message = Uint8Array.from(MESSAGE);
    const signing = signer.sign(message);
    message.fill(0);
    expect(verifySignature(signer.key, MESSAGE, toHex(await signing))).toBe(true);
  });

  it.each(Object.keys(keys))('sign a message of 300 kB with %s', async (scheme) => {
    const signer = await createOpener().open(release(scheme));
    const message = new Uint8Array(300_000).fill(7);
    expect(verifySignature(signer.key, message, toHex(await signer.sign(message)))).toBe(true);
  });

  it('sign nothing after the store was closed, until they are opened again', async () => {
    const opener = createOpener();
    const before = await opener.open(release(P256));
    await opener.close();
    await expect(before.sign(MESSAGE)).rejects.toMatchObject({ code: 'hsm-gone' });
    const signer = await opener.open(release(P256));
    expect(await signer.sign(MESSAGE)).toBeInstanceOf(Uint8Array);
  });

  it('sign with a session of the pool that waits for nobody', async () => {
    const signer = await createOpener({ sessions: 1 }).open(release(P256));
    const signatures = await Promise.all(Array.from({ length: 10 }, () => signer.sign(MESSAGE)));
    expect(new Set(signatures.map(toHex)).size).toBe(10);
  });
});

describe('what is not the one key that was meant', () => {
  it.each([
    ['no such token', 'token=absent;object=x', 'hsm-token-missing'],
    ['a serial number of another token', 'token=release;serial=0;object=x', 'hsm-token-missing'],
    ['no such label', 'token=release;object=absent', 'hsm-key-missing'],
    ['label and id of two keys', `token=release;object=${P256};id=%01`, 'hsm-key-missing'],
  ])('is refused: %s', async (_, name, code) => {
    await expect(createOpener().open(reference(name))).rejects.toMatchObject({ code });
  });

  it('is refused: a module that is not there, or is no module', async () => {
    for (const module of ['/nowhere/module.so', '/etc/passwd', '/usr/lib/x86_64-linux-gnu/libc.so.6']) {
      const opening = createOpener().open(`pkcs11:token=a;object=b?module-path=${module}`);
      await expect(opening).rejects.toMatchObject({ code: 'hsm-unavailable' });
    }
  });

  it('is refused: two tokens of one name, until the serial number says which', async () => {
    await hsm.createToken('twin');
    await hsm.createToken('twin');
    const error = await createOpener()
      .open(reference('token=twin;object=x'))
      .catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'hsm-token-missing', message: expect.stringContaining('serial=') });
    const serial = /one of (\w+)/.exec(String(error))?.[1];
    const opening = createOpener().open(reference(`token=twin;serial=${serial};object=x`));
    await expect(opening).rejects.toMatchObject({ code: 'hsm-key-missing' });
  });

  it('is refused: two private keys of one label, until the id says which', async () => {
    const pair = { token: 'other', label: 'pair' };
    await hsm.importKey({ ...pair, id: '21', privateKey: keys[P256] });
    await hsm.importKey({ ...pair, id: '22', privateKey: other });
    const opener = createOpener();
    const both = opener.open(reference('token=other;object=pair'));
    await expect(both).rejects.toMatchObject({ code: 'hsm-key-missing' });
    expect((await opener.open(reference('token=other;object=pair;id=%22'))).key).toEqual(tufKeyOf(other));
  });

  it('S19 is refused: a key that can be exported', async () => {
    await hsm.change({ op: 'generate', token: 'other', label: 'loose', id: '30', extractable: true });
    await hsm.change({ op: 'generate', token: 'other', label: 'kept', id: '31', extractable: false });
    const opener = createOpener();
    const loose = opener.open(reference('token=other;object=loose'));
    await expect(loose).rejects.toMatchObject({
      code: 'hsm-key-unsuitable',
      message: expect.stringContaining('can be read out'),
    });
    expect((await opener.open(reference('token=other;object=kept'))).key.scheme).toBe(P256);
  });
});

describe('the public half of a key', () => {
  const PUBLIC = 2;
  const key = { token: 'other', label: 'half', id: '40' };

  it('is read from a certificate too, must be there, and must be one', async () => {
    const authority = await createAuthority('half');
    await hsm.importKey({ ...key, privateKey: other });
    await hsm.change({ op: 'destroy', ...key, objectClass: PUBLIC });
    const half = reference('token=other;object=half');
    await expect(createOpener().open(half)).rejects.toMatchObject({
      code: 'hsm-key-unsuitable',
      message: expect.stringContaining('no public key or certificate'),
    });

    const der = Buffer.from(authority.certificate).toString('base64');
    await hsm.change({ op: 'certificate', ...key, der });
    const certified = await createOpener().open(half);
    await expect(certified.sign(MESSAGE)).rejects.toMatchObject({ code: 'hsm-signature-wrong' });

    await hsm.importKey({ ...key, label: 'half-2', privateKey: other });
    await expect(createOpener().open(half)).rejects.toMatchObject({
      code: 'hsm-key-unsuitable',
      message: expect.stringContaining('differ'),
    });
  });
});

describe('S19 after a token was restored', () => {
  it('a label that stands for another key now is noticed, in the session that is open and at a new start', async () => {
    const key = { token: 'other', label: 'restored', id: '50' };
    await hsm.importKey({ ...key, privateKey: keys[P256] });
    const opener = createOpener({ sessions: 1 });
    const signer = await opener.open(reference('token=other;object=restored'));
    await signer.sign(MESSAGE);

    for (const objectClass of [2, 3]) await hsm.change({ op: 'destroy', ...key, objectClass });
    await hsm.importKey({ ...key, privateKey: other });
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'hsm-key-changed' });
    expect((await createOpener().open(reference('token=other;object=restored'))).keyId).not.toBe(
      signer.keyId,
    );
  });

  it('a private key under the public key of another one signs nothing', async () => {
    const key = { token: 'other', label: 'mixed', id: '60' };
    await hsm.importKey({ ...key, privateKey: keys[P256] });
    await hsm.change({ op: 'destroy', ...key, objectClass: 3 });
    await hsm.importKey({ ...key, label: 'donor', id: '61', privateKey: other });
    await hsm.change({ op: 'rename', ...key, label: 'donor', to: { label: 'mixed', id: '60' } });
    const signer = await createOpener().open(reference('token=other;object=mixed'));
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'hsm-signature-wrong' });
  });
});
