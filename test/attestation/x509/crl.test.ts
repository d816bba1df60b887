import { beforeAll, describe, expect, it } from 'vitest';
import { verifyEkCertificate } from '../../../src/attestation/endorsement/ek-certificate.ts';
import {
  addRevocationLists,
  mergeTrustAnchors,
  parseTrustAnchors,
  type TrustAnchors,
} from '../../../src/attestation/endorsement/trust-anchors.ts';
import { parseRevocationList } from '../../../src/attestation/x509/crl.ts';
import { asciiBytes, concatBytes, EMPTY } from '../../../src/core/bytes.ts';
import {
  type Authority,
  createAuthority,
  issueEk,
  KeyUsageFlags,
  rawExtension,
} from '../../../src/fleet-sim/chip/manufacturer.ts';
import { createEk, NOW_MS } from '../endorsement/certificate-maker.ts';
import { crlPem, issueCrl, NEXT_UPDATE, REVOKED, THIS_UPDATE } from './crl-maker.ts';

const SIGNS = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
const DAY_MS = 86_400_000;
let root: Authority;
let intermediate: Authority;
let impostor: Authority;
let ek: Awaited<ReturnType<typeof createEk>>;
let certificate: Uint8Array;
let anchors: TrustAnchors;

const anchorsOf = (...authorities: Authority[]) =>
  mergeTrustAnchors(authorities.map(({ certificate: der }) => parseTrustAnchors(der)));
const withLists = (...lists: Uint8Array[]) => lists.reduce(addRevocationLists, anchors);

beforeAll(async () => {
  root = await createAuthority('Root', undefined, { keyUsage: SIGNS });
  intermediate = await createAuthority('Intermediate', root, { keyUsage: SIGNS });
  impostor = await createAuthority('Intermediate', undefined, { keyUsage: SIGNS });
  ek = await createEk();
  certificate = await issueEk(ek.publicKey, intermediate);
  anchors = anchorsOf(root, intermediate);
});

const verify = (changes: Partial<Parameters<typeof verifyEkCertificate>[0]> = {}) =>
  verifyEkCertificate({ certificate, ekPublic: ek.ekPublic, anchors, nowMs: NOW_MS, ...changes });
const codeOf = (action: () => unknown): string => {
  try {
    action();
    return 'accepted';
  } catch (cause) {
    return (cause as { code?: string }).code ?? String(cause);
  }
};
const notesOf = (changes: Parameters<typeof verify>[0]) =>
  verify(changes).notes.map(({ message }) => message);

/** By hand: what no generator writes. */
const element = (tag: number, ...parts: Uint8Array[]): Uint8Array => {
  const content = concatBytes(...parts);
  return concatBytes(Uint8Array.of(tag, content.length), content);
};
const SERIAL = element(0x02, Uint8Array.of(5));
const DATE = element(0x17, asciiBytes('261101000000Z'));
const ENTRY = element(0x30, SERIAL, DATE);
const algorithm = (last: number) => element(0x30, element(0x06, Uint8Array.of(0x2a, last)));
function listOf(fields: Uint8Array[], behind: Uint8Array = EMPTY, unusedBits = 0, outer = 3): Uint8Array {
  const signed = element(0x30, algorithm(3), element(0x30), DATE, ...fields);
  return element(0x30, signed, algorithm(outer), element(0x03, Uint8Array.of(unusedBits, 0xf0)), behind);
}

describe('CRLs', () => {
  it('E6 refuse a leaf that its issuer has revoked', async () => {
    const list = await issueCrl(intermediate, { entries: [REVOKED] });
    expect(codeOf(() => verify({ anchors: withLists(list) }))).toBe('ek-certificate-revoked');
    expect(codeOf(() => verify({ anchors: withLists(crlPem(list)) }))).toBe('ek-certificate-revoked');
  });

  it('E6 refuse a leaf under an intermediate that the root has revoked', async () => {
    const list = await issueCrl(root, { entries: [REVOKED] });
    expect(codeOf(() => verify({ anchors: withLists(list) }))).toBe('ek-certificate-revoked');
  });

  it('E6 accept what they do not list, without a note when every CA has a current one', async () => {
    const other = { ...REVOKED, serialNumber: '02' };
    const lists = [await issueCrl(root), await issueCrl(intermediate, { entries: [other] })];
    expect(verify({ anchors: withLists(...lists), requireRevocationLists: true }).notes).toEqual([]);
  });

  it('that are missing are a note, and a refusal where they are required', async () => {
    const ofRoot = withLists(await issueCrl(root));
    expect(notesOf({ anchors: ofRoot })).toEqual(['no CRL of CN=Intermediate']);
    expect(codeOf(() => verify({ anchors: ofRoot, requireRevocationLists: true }))).toBe(
      'ek-revocation-unknown',
    );
  });

  it('that are not current still revoke, and otherwise are a note, or a refusal where required', async () => {
    const late = NEXT_UPDATE.getTime() + 1;
    const early = THIS_UPDATE.getTime() - 1;
    const good = withLists(await issueCrl(root), await issueCrl(intermediate));
    const bad = withLists(await issueCrl(intermediate, { entries: [REVOKED] }));
    for (const nowMs of [late, early]) {
      expect(codeOf(() => verify({ anchors: bad, nowMs }))).toBe('ek-certificate-revoked');
      expect(verify({ anchors: good, nowMs }).notes.map(({ code }) => code)).toEqual([
        'ek-crl-expired',
        'ek-crl-expired',
      ]);
      expect(codeOf(() => verify({ anchors: good, nowMs, requireRevocationLists: true }))).toBe(
        'ek-revocation-unknown',
      );
    }
    expect(verify({ anchors: good, nowMs: NEXT_UPDATE.getTime() }).notes).toEqual([]);
    expect(verify({ anchors: good, nowMs: THIS_UPDATE.getTime() }).notes).toEqual([]);
  });

  it('without nextUpdate are never current', async () => {
    const list = withLists(await issueCrl(root), await issueCrl(intermediate, { nextUpdate: null }));
    expect(verify({ anchors: list, nowMs: THIS_UPDATE.getTime() + DAY_MS }).notes).toMatchObject([
      { code: 'ek-crl-expired' },
    ]);
  });

  it('of another key under the same name revoke nothing', async () => {
    const list = await issueCrl(impostor, { entries: [REVOKED] });
    const both = addRevocationLists(anchorsOf(root, intermediate, impostor), list);
    expect(notesOf({ anchors: both })).toContain('no CRL of CN=Intermediate');
  });

  it.each<[string, () => Promise<Uint8Array>]>([
    [
      'of a CA that is not there',
      async () => issueCrl(await createAuthority('Stranger', undefined, { keyUsage: SIGNS })),
    ],
    ['signed with another key', () => issueCrl(intermediate, { signer: impostor })],
    ['signed with SHA-1', () => issueCrl(intermediate, { hash: 'SHA-1' })],
    ['with other bytes behind it', async () => concatBytes(await issueCrl(root), Uint8Array.of(0))],
    ['that is a certificate', async () => root.certificate],
    ['in PEM under another label', async () => new TextEncoder().encode('-----BEGIN CERTIFICATE-----\n')],
  ])('E6 are an error when they are loaded: one %s', async (_name, make) => {
    const list = await make();
    expect(codeOf(() => withLists(list))).toBe('trust-anchors-invalid');
  });

  it('E6 of a CA that may not sign CRLs are an error', async () => {
    const own = await createAuthority('Own', undefined, { keyUsage: KeyUsageFlags.keyCertSign });
    const list = await issueCrl(own);
    expect(codeOf(() => addRevocationLists(anchorsOf(own), list))).toBe('trust-anchors-invalid');
  });

  it('of only some certificates revoke what they list and prove nothing about the rest', async () => {
    const scope = rawExtension('2.5.29.28', true, Uint8Array.of(0x30, 0x03, 0x81, 0x01, 0xff));
    const ofRoot = await issueCrl(root);
    const empty = withLists(ofRoot, await issueCrl(intermediate, { extensions: [scope] }));
    expect(notesOf({ anchors: empty })).toEqual(['no CRL of CN=Intermediate']);
    const full = withLists(ofRoot, await issueCrl(intermediate, { extensions: [scope], entries: [REVOKED] }));
    expect(codeOf(() => verify({ anchors: full }))).toBe('ek-certificate-revoked');
  });

  it('with a critical extension that is not understood are as good as partial', async () => {
    const odd = rawExtension('1.2.3.4', true, Uint8Array.of(0x05, 0x00));
    const list = withLists(await issueCrl(root), await issueCrl(intermediate, { extensions: [odd] }));
    expect(notesOf({ anchors: list })).toEqual(['no CRL of CN=Intermediate']);
  });

  it('that are indirect are not read: they name certificates of other CAs', async () => {
    const indirect = rawExtension('2.5.29.28', true, Uint8Array.of(0x30, 0x03, 0x84, 0x01, 0xff));
    const list = await issueCrl(intermediate, { extensions: [indirect] });
    expect(codeOf(() => withLists(list))).toBe('trust-anchors-invalid');
    expect(codeOf(() => parseRevocationList(list))).toBe('der-invalid');
  });

  it('that lift a hold (delta CRLs) revoke nothing by that', async () => {
    const lifted = { ...REVOKED, reason: 8 };
    const list = withLists(await issueCrl(root), await issueCrl(intermediate, { entries: [lifted] }));
    expect(codeOf(() => verify({ anchors: list }))).toBe('accepted');
    const held = withLists(await issueCrl(intermediate, { entries: [{ ...REVOKED, reason: 6 }] }));
    expect(codeOf(() => verify({ anchors: held }))).toBe('ek-certificate-revoked');
  });

  it('are read in version 1 too, with nothing but what must be there', () => {
    expect(parseRevocationList(listOf([]))).toMatchObject({
      nextUpdateMs: Number.NEGATIVE_INFINITY,
      isComplete: true,
      revoked: new Set(),
    });
    expect(parseRevocationList(listOf([DATE, element(0x30, ENTRY)])).revoked).toEqual(new Set(['05']));
  });

  it.each<[string, Uint8Array]>([
    ['more behind the signature', listOf([], DATE)],
    ['a signature that is no octets', listOf([], EMPTY, 1)],
    ['two signature algorithms', listOf([], EMPTY, 0, 4)],
    ['fields of another kind', listOf([element(0x05)])],
    ['extensions twice', listOf([element(0xa0, element(0x30)), element(0xa0, element(0x30))])],
    ['an entry without a date', listOf([element(0x30, element(0x30, SERIAL))])],
    ['an entry with more', listOf([element(0x30, element(0x30, SERIAL, DATE, element(0x30), SERIAL))])],
  ])('E12 are not read with %s', (_name, list) => {
    expect(codeOf(() => parseRevocationList(list))).toBe('der-invalid');
  });

  it('E12 with any bit turned, or cut off anywhere, are refused with our own error', async () => {
    const list = await issueCrl(intermediate, { entries: [REVOKED] });
    for (let offset = 0; offset < list.length; offset += 1) {
      const altered = Uint8Array.from(list);
      altered[offset] = (altered[offset] ?? 0) ^ (1 << (offset % 8));
      expect(codeOf(() => withLists(altered))).toBe('trust-anchors-invalid');
      expect(codeOf(() => withLists(list.subarray(0, offset)))).toBe('trust-anchors-invalid');
    }
  });
});
