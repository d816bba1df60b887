import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { toBase64Url, utf8Bytes } from '../../src/core/bytes.ts';
import { type JwsErrorCode, signJws, verifyJws } from '../../src/signing/jws.ts';
import { CORPORA } from '../corpora.ts';

const VECTORS = `${CORPORA}/C2SP/wycheproof/testvectors_v1/json_web_crypto_test.json`;

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const KEY_ID = 'a'.repeat(64);
const TYP = 'bootward-grant+jwt';
const HEADER = { alg: 'EdDSA', typ: TYP, kid: KEY_ID };
const PAYLOAD = { sub: 'n-0123', iat: 1, cnf: { 'x5t#S256': 'abc' } };

const encode = (text: string): string => toBase64Url(utf8Bytes(text));

/** A token signed correctly over whatever header and payload text it is given. */
function forge(parts: { header?: string; payload?: string; key?: KeyObject } = {}): string {
  const header = encode(parts.header ?? JSON.stringify(HEADER));
  const payload = encode(parts.payload ?? JSON.stringify(PAYLOAD));
  const signature = sign(null, Buffer.from(`${header}.${payload}`), parts.key ?? privateKey);
  return `${header}.${payload}.${toBase64Url(signature)}`;
}

const withHeader = (change: Record<string, unknown>): string =>
  forge({ header: JSON.stringify({ ...HEADER, ...change }) });

function verify(token: string, maxBytes = 4096) {
  return verifyJws({ token, keys: new Map([[KEY_ID, publicKey]]), typ: TYP, maxBytes });
}

async function refuses(token: string, code: JwsErrorCode, maxBytes?: number): Promise<void> {
  await expect(verify(token, maxBytes)).rejects.toMatchObject({ code });
}

describe('a token', () => {
  it('is read back as it was signed', async () => {
    const token = await signJws({ key: privateKey, keyId: KEY_ID, typ: TYP, payload: PAYLOAD });
    const { keyId, payload } = await verify(token);
    expect(keyId).toBe(KEY_ID);
    expect(JSON.parse(JSON.stringify(payload))).toEqual(PAYLOAD);
  });

  it('has a header of exactly alg, typ and kid', async () => {
    const token = await signJws({ key: privateKey, keyId: KEY_ID, typ: TYP, payload: PAYLOAD });
    expect(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).toBe(JSON.stringify(HEADER));
  });

  it('verifies when only its encoding is by hand', async () => {
    await expect(verify(forge())).resolves.toMatchObject({ keyId: KEY_ID });
  });
});

describe('S13 the header decides nothing', () => {
  const pem = publicKey.export({ type: 'spki', format: 'pem' });

  it('S13 refuses alg none, with and without a signature', async () => {
    const token = withHeader({ alg: 'none' });
    await refuses(token, 'jws-algorithm-refused');
    await refuses(token.replace(/[^.]*$/, ''), 'jws-algorithm-refused');
  });

  it('S13 refuses HS256 keyed with the public key', async () => {
    const signed = `${encode(JSON.stringify({ ...HEADER, alg: 'HS256' }))}.${encode(JSON.stringify(PAYLOAD))}`;
    const mac = createHmac('sha256', pem).update(signed).digest();
    await refuses(`${signed}.${toBase64Url(mac)}`, 'jws-algorithm-refused');
  });

  it.each(['ES256', 'RS256', 'Ed25519', 'eddsa', '', null, ['EdDSA']])('S13 refuses alg %j', async (alg) => {
    await refuses(withHeader({ alg }), 'jws-algorithm-refused');
  });

  it.each(['../../etc/passwd', "' OR 1=1 --", '', 'A'.repeat(64)])('S13 refuses kid %j', async (kid) => {
    await refuses(withHeader({ kid }), 'jws-key-unknown');
  });

  it.each([undefined, null, 1, [KEY_ID]])('S13 refuses a kid that is no string: %j', async (kid) => {
    await refuses(withHeader({ kid }), 'jws-header-refused');
  });

  it.each([
    ['jku', 'https://attacker.example/keys'],
    ['x5u', 'https://attacker.example/chain'],
    ['x5c', ['MIIB']],
    ['x5t', 'abc'],
    ['x5t#S256', 'abc'],
    ['jwk', publicKey.export({ format: 'jwk' })],
    ['crit', ['exp']],
    ['b64', false],
    ['cty', 'JWT'],
    ['zip', 'DEF'],
  ])('S13 refuses a header with %s', async (member, value) => {
    await refuses(withHeader({ [member]: value }), 'jws-header-refused');
  });

  it.each(['bootward-challenge+jwt', 'JWT', 'bootward-grant+JWT', undefined])(
    'S13 refuses typ %j where a grant is expected',
    async (typ) => refuses(withHeader({ typ }), 'jws-type-refused'),
  );
});

describe('S9 duplicate keys', () => {
  it('S9 refuses them in the header', async () => {
    const header = JSON.stringify(HEADER).replace('{', '{"alg":"none",');
    await refuses(forge({ header }), 'jws-header-refused');
  });

  it('S9 refuses them in the payload', async () => {
    await refuses(forge({ payload: '{"sub":"a","sub":"b"}' }), 'jws-payload-refused');
  });
});

describe('the parts', () => {
  it('refuses two and four of them', async () => {
    await refuses(forge().split('.').slice(0, 2).join('.'), 'jws-malformed');
    await refuses(`${forge()}.`, 'jws-malformed');
  });

  it.each(['=', ' ', '\n', '+', '/', '%'])('refuses %j in any of them', async (character) => {
    const parts = forge().split('.');
    for (const index of parts.keys())
      await refuses(
        parts.map((part, at) => (at === index ? part + character : part)).join('.'),
        'jws-malformed',
      );
  });

  it('S14 refuses a signature with non-zero pad bits', async () => {
    const token = forge();
    const last = token.at(-1) ?? '';
    const next = String.fromCharCode(last.charCodeAt(0) + 1);
    await refuses(token.slice(0, -1) + next, 'jws-malformed');
  });

  it('S14 refuses a signature with its S raised by the group order', async () => {
    const [header, payload, signature] = forge().split('.');
    const raised = toBase64Url(addGroupOrder(Buffer.from(signature ?? '', 'base64url')));
    await refuses(`${header}.${payload}.${raised}`, 'jws-signature-invalid');
  });

  it('refuses a signature cut short or lengthened', async () => {
    const [header, payload, signature] = forge().split('.');
    const bytes = Buffer.from(signature ?? '', 'base64url');
    for (const other of [bytes.subarray(1), Buffer.concat([bytes, Buffer.of(0)]), Buffer.alloc(0)])
      await refuses(`${header}.${payload}.${toBase64Url(other)}`, 'jws-signature-invalid');
  });

  it('refuses the signature of another key', async () => {
    await refuses(forge({ key: generateKeyPairSync('ed25519').privateKey }), 'jws-signature-invalid');
  });

  it('refuses one altered payload character', async () => {
    const [header, , signature] = forge().split('.');
    const payload = encode(JSON.stringify({ ...PAYLOAD, sub: 'n-0124' }));
    await refuses(`${header}.${payload}.${signature}`, 'jws-signature-invalid');
  });

  it('refuses a payload that is not a JSON object', async () => {
    for (const payload of ['[]', '"x"', 'null', '', '{} ,', '\ufeff{}'])
      await refuses(forge({ payload }), 'jws-payload-refused');
  });

  it('refuses one character too many before decoding it', async () => {
    const token = forge();
    await expect(verify(token, token.length)).resolves.toBeDefined();
    await refuses(token, 'jws-too-large', token.length - 1);
  });
});

describe.skipIf(!existsSync(VECTORS))('Wycheproof JSON web crypto vectors', () => {
  it('S13 none of them passes: no vector is a token of ours', async () => {
    const { testGroups } = JSON.parse(readFileSync(VECTORS, 'utf8'));
    const tokens = testGroups.flatMap((group: { tests: { jws?: unknown }[] }) =>
      group.tests.map(({ jws }) => jws),
    );
    const compact = tokens.filter((jws: unknown) => typeof jws === 'string');
    expect(compact.length).toBeGreaterThan(40);
    for (const token of compact) await expect(verify(token)).rejects.toHaveProperty('code');
  });
});

/** RFC 8032 section 5.1.7: S must be below the group order L; S + L would verify where nobody checks. */
function addGroupOrder(signature: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + order;
  const raised = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse();
  return Buffer.concat([signature.subarray(0, 32), raised]);
}
