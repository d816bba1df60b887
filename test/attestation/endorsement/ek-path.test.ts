import { beforeAll, describe, expect, it } from 'vitest';
import { findPath } from '../../../src/attestation/endorsement/ek-path.ts';
import {
  addRevocationLists,
  mergeTrustAnchors,
  parseTrustAnchors,
} from '../../../src/attestation/endorsement/trust-anchors.ts';
import { parseCertificate } from '../../../src/attestation/x509/x509.ts';
import {
  type Authority,
  type CertificateOptions,
  createAuthority,
  issueEk,
  KeyUsageFlags,
  rawExtension,
} from '../../../src/fleet-sim/chip/manufacturer.ts';
import { issueCrl, REVOKED } from '../x509/crl-maker.ts';
import { createEk, NOW_MS } from './certificate-maker.ts';
import { crossSign } from './ek-cross-signer.ts';

const PAST = { notAfter: new Date('2021-01-01T00:00:00Z') };
const SIGNS = { keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign };
let ek: Awaited<ReturnType<typeof createEk>>;
let root: Authority;

beforeAll(async () => {
  ek = await createEk();
  root = await createAuthority('Root', undefined, SIGNS);
});

const anchorsOf = (...authorities: Authority[]) =>
  mergeTrustAnchors(authorities.map(({ certificate }) => parseTrustAnchors(certificate)));
const leafOf = async (issuer: Authority, options?: CertificateOptions) =>
  parseCertificate(await issueEk(ek.publicKey, issuer, options));
const subjectsOf = (path: ReturnType<typeof findPath>) => path.issuers.map(({ subject }) => subject);
const faultOf = (action: () => unknown): { code: string; message: string } => {
  try {
    action();
    return { code: 'accepted', message: '' };
  } catch (cause) {
    return cause as { code: string; message: string };
  }
};

describe('paths to a root', () => {
  it('are the shortest of those that hold', async () => {
    const upper = await createAuthority('Upper', root);
    const lower = await createAuthority('Lower', upper);
    const leaf = await leafOf(lower);
    const long = anchorsOf(lower, upper, root);
    expect(subjectsOf(findPath(leaf, { anchors: long, nowMs: NOW_MS }))).toEqual([
      'CN=Lower',
      'CN=Upper',
      'CN=Root',
    ]);
    const short = anchorsOf(lower, upper, await crossSign(lower, root), root);
    expect(subjectsOf(findPath(leaf, { anchors: short, nowMs: NOW_MS }))).toEqual(['CN=Lower', 'CN=Root']);
  });

  it('go around an expired cross-certificate, whichever comes first', async () => {
    const lower = await createAuthority('Lower', root);
    const expired = await crossSign(lower, root, PAST);
    const leaf = await leafOf(lower);
    for (const order of [
      [lower, expired],
      [expired, lower],
    ])
      expect(findPath(leaf, { anchors: anchorsOf(...order, root), nowMs: NOW_MS }).issuers).toHaveLength(2);
  });

  it('go past CAs of the same name with another key, and past the same CA twice', async () => {
    const right = await createAuthority('Twin', root);
    const others = await Promise.all([1, 2, 3].map(() => createAuthority('Twin', root)));
    const anchors = mergeTrustAnchors([anchorsOf(...others, right, root), anchorsOf(right, root)]);
    const { issuers } = findPath(await leafOf(right), { anchors, nowMs: NOW_MS });
    expect(issuers.map(({ der }) => der)).toEqual([right.certificate, root.certificate]);
  });

  it('never go in circles', async () => {
    const [a, b] = [await createAuthority('A', root), await createAuthority('B', root)];
    const circle = anchorsOf(await crossSign(a, b), await crossSign(b, a), root);
    const leaf = await leafOf(a);
    expect(faultOf(() => findPath(leaf, { anchors: circle, nowMs: NOW_MS })).code).toBe(
      'ek-certificate-untrusted',
    );
    const open = mergeTrustAnchors([circle, anchorsOf(b)]);
    expect(subjectsOf(findPath(leaf, { anchors: open, nowMs: NOW_MS }))).toEqual(['CN=A', 'CN=B', 'CN=Root']);
  });

  it('are looked for within a bound on work', async () => {
    // Each of nine CAs certified by each other, and no root among them: 9 · 8 · 7 · … paths.
    const cas = await Promise.all([...Array(9).keys()].map((index) => createAuthority(`CA ${index}`, root)));
    const mesh = await Promise.all(
      cas.flatMap((ca) => cas.filter((by) => by !== ca).map((by) => crossSign(ca, by))),
    );
    const stranger = await createAuthority('Stranger');
    const leaf = await leafOf(cas[0] ?? root);
    let verifications = 0;
    const anchors = anchorsOf(...mesh, stranger);
    for (const { node } of [leaf, ...anchors.intermediates]) {
      const verify = node.verify.bind(node);
      node.verify = (key) => {
        verifications += 1;
        return verify(key);
      };
    }
    expect(faultOf(() => findPath(leaf, { anchors, nowMs: NOW_MS })).code).toBe('ek-certificate-untrusted');
    expect(verifications).toBe(64);
  });

  it.each([false, null])('E4 never lead through an issuer without the CA flag (%j)', async (ca) => {
    const fake = await createAuthority('Fake', root, { ca });
    const leaf = await leafOf(fake);
    const anchors = { ...anchorsOf(root), intermediates: [parseCertificate(fake.certificate)] };
    expect(faultOf(() => findPath(leaf, { anchors, nowMs: NOW_MS })).message).toBe(
      'CN=Fake: it is not a CA certificate',
    );
  });

  it('may lead through a CA that says nothing about the usage of its key', async () => {
    const plain = await createAuthority('Plain', undefined, { keyUsage: null });
    const { issuers } = findPath(await leafOf(plain), { anchors: anchorsOf(plain), nowMs: NOW_MS });
    expect(issuers).toHaveLength(1);
  });

  it('do not count self-issued certificates into the path length', async () => {
    const own = await createAuthority('Own', undefined, { pathLength: 0 });
    const renewed = await createAuthority('Own', own);
    const leaf = await leafOf(renewed);
    expect(findPath(leaf, { anchors: anchorsOf(own, renewed), nowMs: NOW_MS }).issuers).toHaveLength(2);
  });
});

describe('a refusal names the fault of the path that came nearest', () => {
  it('a revocation before anything else', async () => {
    const lower = await createAuthority('Lower', root);
    const other = await createAuthority('Lower', root);
    const lists = await issueCrl(root, { entries: [REVOKED] });
    const anchors = addRevocationLists(
      anchorsOf(other, lower, await crossSign(lower, root, PAST), root),
      lists,
    );
    const leaf = await leafOf(lower);
    expect(faultOf(() => findPath(leaf, { anchors, nowMs: NOW_MS }))).toMatchObject({
      code: 'ek-certificate-revoked',
      message: 'CN=Lower: revoked by CN=Root',
    });
  });

  it('a fault of the real issuer before a signature that is not of a namesake', async () => {
    const expired = await createAuthority('Twin', root, PAST);
    const other = await createAuthority('Twin', root);
    const leaf = await leafOf(expired);
    for (const order of [
      [expired, other],
      [other, expired],
    ])
      expect(
        faultOf(() => findPath(leaf, { anchors: anchorsOf(...order, root), nowMs: NOW_MS })).message,
      ).toMatch(/^CN=Twin: expired on 2021-01-01/);
  });

  it('the name of the missing issuer when there is no path at all', async () => {
    const lower = await createAuthority('Lower', root);
    const leaf = await leafOf(lower);
    expect(faultOf(() => findPath(leaf, { anchors: anchorsOf(root), nowMs: NOW_MS })).message).toBe(
      'no accepted CA issued it; its issuer is CN=Lower',
    );
  });
});

describe('name constraints on a path', () => {
  /** Permitted: directory names with exactly this country first. */
  const onlyCountry = (letters: string) =>
    rawExtension(
      '2.5.29.30',
      true,
      Uint8Array.from(
        Buffer.from(
          `3015a0133011a40f300d310b30090603550406${'1302'}${Buffer.from(letters).toString('hex')}`,
          'hex',
        ),
      ),
    );

  it('hold for the leaf and the CAs below, not for self-issued CAs', async () => {
    const own = await createAuthority('Constrained', root, { extra: [onlyCountry('TW')] });
    const anchors = anchorsOf(own, root);
    const inside = await leafOf(own, { directoryName: 'C=TW, O=Maker' });
    const outside = await leafOf(own, { directoryName: 'C=US, O=Maker' });
    expect(findPath(inside, { anchors, nowMs: NOW_MS }).issuers).toHaveLength(2);
    expect(faultOf(() => findPath(outside, { anchors, nowMs: NOW_MS })).code).toBe(
      'ek-certificate-name-constraints',
    );

    const below = await createAuthority('Below', own);
    const under = await leafOf(below, { directoryName: 'C=TW, O=Maker' });
    expect(faultOf(() => findPath(under, { anchors: anchorsOf(below, own, root), nowMs: NOW_MS })).code).toBe(
      'ek-certificate-name-constraints',
    );
    const renewed = await createAuthority('Constrained', own);
    const newer = await leafOf(renewed, { directoryName: 'C=TW, O=Maker' });
    expect(findPath(newer, { anchors: anchorsOf(renewed, own, root), nowMs: NOW_MS }).issuers).toHaveLength(
      3,
    );
  });
});
