import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findPath } from '../../../src/attestation/endorsement/ek-path.ts';
import { verifyLeafExtensions } from '../../../src/attestation/endorsement/ek-path-rules.ts';
import {
  mergeTrustAnchors,
  parseTrustAnchors,
  type TrustAnchors,
} from '../../../src/attestation/endorsement/trust-anchors.ts';
import { parseCertificate } from '../../../src/attestation/x509/x509.ts';
import { splitPem } from '../../../src/attestation/x509/x509-pem.ts';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { CORPORA } from '../../corpora.ts';

/**
 * x509-limbo judges the path rules, with a neutral leaf profile in place of the rules for EK certificates
 * (`judge`, below): no host name, no TLS purpose.
 */
const FILE = `${CORPORA}/C2SP/x509-limbo/limbo-2023-12-02.json`;
/** These are CAs of web servers, and many of them say so. */
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
/** When the file was made: for the cases that name no time. */
const MADE_MS = Date.UTC(2023, 11, 2);

interface Case {
  id: string;
  trusted_certs: string[];
  untrusted_intermediates: string[];
  peer_certificate: string;
  validation_time: string | null;
  expected_result: 'SUCCESS' | 'FAILURE';
}

/** To be refused for limbo and accepted by us: every one, by the reason why that is right or does not apply. */
const ACCEPTED: Readonly<Record<string, readonly string[]>> = {
  'host names: an EK certificate names a TPM, not a host; its names are compared with nothing but the TPM': [
    'webpki::san::mismatch-apex-subdomain-san',
    'webpki::san::mismatch-domain-san',
    'webpki::san::mismatch-subdomain-apex-san',
    'webpki::san::mismatch-subdomain-san',
    'webpki::san::no-san',
    'webpki::san::public-suffix-wildcard-san',
    'webpki::san::wildcard-embedded-leftmost-san',
    'webpki::san::wildcard-embedded-ulabel-san',
    'webpki::san::wildcard-match-across-labels-san',
    'webpki::san::wildcard-not-in-leftmost-san',
  ],
  'purpose of the leaf: in its place stands E10, EKU 2.23.133.8.1 and key usage (test/attestation/ek-certificate)':
    [
      'rfc5280::eku::ee-wrong-eku',
      'webpki::eku::ee-anyeku',
      'webpki::eku::ee-critical-eku',
      'webpki::eku::ee-without-eku',
      'webpki::v1-cert',
    ],
  'EKU in a root: TPM roots and intermediates carry 2.23.133.8.1 (120 of the 193 in the corpora)': [
    'webpki::eku::root-has-eku',
  ],
  'key of the leaf: in its place stand E8 and E9, it must be the EK, RSA or on a NIST curve (signed well in both)':
    [
      'webpki::forbidden-dsa-spki-leaf',
      'webpki::forbidden-p192-spki-leaf',
      'webpki::forbidden-signature-algorithm-in-leaf',
    ],
  'key identifiers only help to find a path (RFC 5280, section 4.2.1.1); ours rests on names and signatures':
    [
      'rfc5280::aki::intermediate-missing-aki',
      'rfc5280::aki::leaf-missing-aki',
      'rfc5280::ski::intermediate-missing-ski',
      'rfc5280::ski::root-missing-ski',
      'webpki::aki::root-with-aki-all-fields',
      'webpki::aki::root-with-aki-authoritycertissuer',
      'webpki::aki::root-with-aki-authoritycertserialnumber',
      'webpki::aki::root-with-aki-missing-keyidentifier',
      'webpki::aki::root-with-aki-ski-mismatch',
    ],
  'criticality that CAs must set and verifiers need not ask for: we process the extension either way': [
    'rfc5280::nc::permitted-dns-match-noncritical',
    'rfc5280::root-non-critical-basic-constraints',
    'rfc5280::san::noncritical-with-empty-subject',
    'webpki::san::san-critical-with-nonempty-subject',
  ],
  'serial numbers: a CA that gives bad ones harms its own CRL; section 4.1.2.2: users should handle them': [
    'rfc5280::serial::too-long',
    'rfc5280::serial::zero',
  ],
  'authorityInfoAccess is never read: nothing is fetched': ['webpki::malformed-aia'],
  'a longest chain that the caller sets: ours is five issuers for all': [
    'pathlen::max-chain-depth-0-exhausted',
    'pathlen::max-chain-depth-1-exhausted',
  ],
};

/** Right for limbo and refused by us. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'a leaf that is a CA certificate: never an EK certificate (E10)': [
    'pathlen::validation-ignores-pathlen-in-leaf',
  ],
};

const read = (pems: readonly string[]) =>
  mergeTrustAnchors(pems.map((pem) => parseTrustAnchors(asciiBytes(pem))));

/** The path functions as `verifyEkCertificate` composes them; any purpose, but of the right age and no CA. */
function judge(test: Case): 'SUCCESS' | 'FAILURE' {
  try {
    const trusted = read(test.trusted_certs);
    const others = read(test.untrusted_intermediates);
    const anchors: TrustAnchors = {
      roots: trusted.roots,
      intermediates: [...trusted.intermediates, ...others.roots, ...others.intermediates],
      revocationLists: [],
    };
    const nowMs = test.validation_time === null ? MADE_MS : Date.parse(test.validation_time);
    const [der] = splitPem(asciiBytes(test.peer_certificate), 'CERTIFICATE');
    const leaf = parseCertificate(der ?? asciiBytes(''));
    verifyLeafExtensions(leaf);
    if (nowMs < leaf.notBeforeMs || nowMs > leaf.notAfterMs) return 'FAILURE';
    if (leaf.basicConstraints?.ca === true || leaf.keyUsage?.keyCertSign === true) return 'FAILURE';
    findPath(leaf, { anchors, nowMs, caPurpose: SERVER_AUTHENTICATION });
    return 'SUCCESS';
  } catch (cause) {
    expect(cause).toBeInstanceOf(Error);
    return 'FAILURE';
  }
}

describe.skipIf(!existsSync(FILE))('x509-limbo (skipped without ../shared/corpora)', () => {
  const cases: Case[] = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')).testcases : [];
  const deviating = (expected: Case['expected_result']) =>
    cases
      .filter((test) => test.expected_result === expected && judge(test) !== expected)
      .map(({ id }) => id)
      .sort();

  it('has 135 cases here, 41 of them to be accepted', () => {
    expect([cases.length, cases.filter((test) => test.expected_result === 'SUCCESS').length]).toEqual([
      135, 41,
    ]);
  });

  it('E4 sees accepted of what is to be refused only what the table explains', () => {
    expect(deviating('FAILURE')).toEqual(Object.values(ACCEPTED).flat().sort());
  });

  it('sees refused of what is to be accepted only what the table explains', () => {
    expect(deviating('SUCCESS')).toEqual(Object.values(REFUSED).flat().sort());
  });
});
