import { generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toBase64Url, utf8Bytes } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { createKeySigner } from '../../src/signing/signer.ts';
import { openScriptedLab, POISONED, type ScriptedLab } from './scripted-lab.ts';

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
afterAll(() => lab.close());

type Alteration = (payload: JsonObject) => JsonObject;

/** Signed by the right key, so that only what was altered can be why it is refused. */
async function refusalOf(
  alter: (payload: JsonObject) => JsonObject | Promise<string>,
): Promise<string | undefined> {
  const outcome = await lab.run({ lies: { challenge: alter } });
  expect(outcome.status, outcome.console).toBe(20);
  expect(outcome.pcr14).toBe(POISONED);
  expect(outcome.server.evidence).toEqual([]);
  return outcome.stopCode;
}

const FULL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];

describe('P5 a challenge that is not what the agent asked for gets no answer', () => {
  it.each<[string, string, Alteration]>([
    ['another purpose', 'challenge-purpose', (p) => ({ ...p, purpose: 'enrol' })],
    ['another attestation key', 'challenge-ak', (p) => ({ ...p, akName: `000b${'0'.repeat(64)}` })],
    [
      'expired, by the time that stage-0 was built',
      'challenge-expired',
      (p) => ({ ...p, iat: 1000, exp: 1120 }),
    ],
    ['without PCR 14', 'challenge-pcrs', (p) => ({ ...p, pcrs: FULL.filter((pcr) => pcr !== 14) })],
    ['without PCR 0', 'challenge-pcrs', (p) => ({ ...p, pcrs: FULL.slice(1) })],
    ['no PCRs', 'challenge-pcrs', (p) => ({ ...p, pcrs: [] })],
    ['PCRs that there are not', 'challenge-malformed', (p) => ({ ...p, pcrs: [...FULL, 24] })],
    ['PCRs twice', 'challenge-malformed', (p) => ({ ...p, pcrs: [...FULL, 14] })],
    ['the SHA-1 bank', 'challenge-malformed', (p) => ({ ...p, pcrBank: 'sha1' })],
    ['good for an hour', 'challenge-malformed', (p) => ({ ...p, exp: Number(p.iat) + 3600 })],
    ['a short nonce', 'challenge-malformed', (p) => ({ ...p, nonce: 'AAAA' })],
    ['one field more', 'challenge-malformed', (p) => ({ ...p, command: 'id' })],
    ['PCRs as text for a shell', 'challenge-malformed', (p) => ({ ...p, pcrs: ['0;id'] })],
    ['a nonce as a list', 'challenge-malformed', (p) => ({ ...p, nonce: [] })],
  ])('refuses one with %s', async (_what, code, alter) => {
    expect(await refusalOf(alter)).toBe(code);
  });

  it('takes one that asks for more PCRs', async () => {
    const outcome = await lab.run({ lies: { challenge: (p) => ({ ...p, pcrs: [...FULL, 16] }) } });
    expect(outcome.status, outcome.console).toBe(0);
  });

  it('refuses one of a key that the TUF root does not name', async () => {
    const stranger = generateKeyPairSync('ed25519').privateKey;
    const { keyId } = createKeySigner(stranger);
    expect(await refusalOf(async (payload) => jws({ header: headerOf(keyId), payload, key: stranger }))).toBe(
      'challenge-key',
    );
  });

  it('refuses one of another key that claims the right key id', async () => {
    const stranger = generateKeyPairSync('ed25519').privateKey;
    expect(await refusalOf(async (payload) => jws({ payload, key: stranger }))).toBe('challenge-signature');
  });

  it('refuses one that was altered after signing', async () => {
    const alter = async (payload: JsonObject) => {
      const [header, , signature] = jws({ payload }).split('.');
      return [header, encode({ ...payload, nonce: 'A'.repeat(43) }), signature].join('.');
    };
    expect(await refusalOf(alter)).toBe('challenge-signature');
  });
});

describe('P6 a challenge that does not name the key of this connection gets no answer', () => {
  it('refuses one that names another server key', async () => {
    expect(await refusalOf((p) => ({ ...p, serverKeys: ['0'.repeat(64)] }))).toBe('challenge-server-key');
  });

  it('refuses one that names none', async () => {
    expect(await refusalOf((p) => ({ ...p, serverKeys: [] }))).toBe('challenge-malformed');
  });
});

describe('S13 the header of a challenge is one header, to the byte', () => {
  const kid = () => createKeySigner(lab.keys.grant).keyId;
  it.each<[string, (kid: string) => object]>([
    ['alg none', (kid) => ({ alg: 'none', typ: 'bootward-challenge+jwt', kid })],
    ['alg HS256', (kid) => ({ alg: 'HS256', typ: 'bootward-challenge+jwt', kid })],
    ['the type of a grant', (kid) => ({ alg: 'EdDSA', typ: 'bootward-grant+jwt', kid })],
    ['a key of its own', (kid) => ({ alg: 'EdDSA', typ: 'bootward-challenge+jwt', kid, jwk: {} })],
    [
      'a key address',
      (kid) => ({ alg: 'EdDSA', typ: 'bootward-challenge+jwt', kid, jku: 'https://127.0.0.1/' }),
    ],
    [
      'critical extensions',
      (kid) => ({ alg: 'EdDSA', typ: 'bootward-challenge+jwt', kid, crit: ['b64'], b64: false }),
    ],
    ['a path as key id', () => ({ alg: 'EdDSA', typ: 'bootward-challenge+jwt', kid: '../../../dev/null' })],
    ['no key id', () => ({ alg: 'EdDSA', typ: 'bootward-challenge+jwt' })],
  ])('refuses %s', async (_what, header) => {
    const lie = async (payload: JsonObject) => jws({ header: JSON.stringify(header(kid())), payload });
    expect(await refusalOf(lie)).toBe('challenge-header');
  });

  it('refuses the right header with a line break behind it', async () => {
    expect(await refusalOf(async (payload) => jws({ header: `${headerOf(kid())}\n`, payload }))).toBe(
      'challenge-header',
    );
  });
});

describe('a challenge that can be read in two ways gets no answer', () => {
  it.each<[string, (payload: JsonObject) => string]>([
    ['S9 a key twice', (p) => JSON.stringify(p).replace('{', '{"purpose":"enrol",')],
    ['S8 white space', (p) => JSON.stringify(p, null, 1)],
    ['S8 a number in another spelling', (p) => JSON.stringify(p).replace('"exp":1', '"exp":1.0e0')],
    ['a second document', (p) => `${JSON.stringify(p)}{}`],
    ['no object', () => '[]'],
    ['no JSON', () => 'purpose=boot'],
  ])('refuses %s', async (_what, text) => {
    expect(await refusalOf(async (payload) => jws({ text: text(payload) }))).toBe('challenge-malformed');
  });

  it.each<[string, (token: string) => string]>([
    ['padding', (token) => `${token}==`],
    ['two parts', (token) => token.slice(0, token.lastIndexOf('.'))],
    ['four parts', (token) => `${token}.AA`],
    ['base64 that is not canonical', (token) => token.replace(/.$/, (last) => (last === 'w' ? 'x' : 'B'))],
    ['nothing', () => ''],
    ['more than any challenge has', (token) => token + 'A'.repeat(5000)],
  ])('refuses a token with %s', async (_what, alter) => {
    expect(await refusalOf(async (payload) => alter(jws({ payload })))).toBe('challenge-malformed');
  });
});

function headerOf(kid: string): string {
  return JSON.stringify({ alg: 'EdDSA', typ: 'bootward-challenge+jwt', kid });
}

/** Signs whatever it is given: header and payload as text, by the grant key unless told. */
function jws(on: {
  header?: string;
  payload?: JsonObject;
  text?: string;
  key?: ScriptedLab['keys']['grant'];
}): string {
  const key = on.key ?? lab.keys.grant;
  const header = on.header ?? headerOf(createKeySigner(lab.keys.grant).keyId);
  const input = `${toBase64Url(utf8Bytes(header))}.${toBase64Url(utf8Bytes(on.text ?? JSON.stringify(on.payload)))}`;
  return `${input}.${toBase64Url(sign(null, Buffer.from(input), key))}`;
}

function encode(value: JsonObject): string {
  return toBase64Url(utf8Bytes(JSON.stringify(value)));
}
