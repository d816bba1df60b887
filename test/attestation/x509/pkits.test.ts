import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPath } from '../../../src/attestation/endorsement/ek-path.ts';
import { verifyLeafExtensions } from '../../../src/attestation/endorsement/ek-path-rules.ts';
import {
  addRevocationLists,
  mergeTrustAnchors,
  NO_TRUST_ANCHORS,
  parseTrustAnchors,
  type TrustAnchors,
} from '../../../src/attestation/endorsement/trust-anchors.ts';
import { parseCertificate } from '../../../src/attestation/x509/x509.ts';
import { CORPORA } from '../../corpora.ts';

/**
 * NIST PKITS judges the path rules: every certificate of its 223 end entities, all its CAs and CRLs at once,
 * with a neutral leaf profile in place of the rules for EK certificates (`judge`, below).
 */
const FOLDER = `${CORPORA}/wbond/certvalidator/tests/fixtures/nist_pkits`;
const WITHIN_VALIDITY_MS = Date.UTC(2020, 0, 1);
const LEAF = /EE\.crt$/;

/** Tests whose file name does not say the outcome: PKITS, sections 4.8 and 4.12, "default settings". */
const VALID_WITHOUT_SAYING = [
  'AllCertificatesNoPoliciesTest2',
  'AllCertificatesSamePoliciesTest10',
  'AllCertificatesSamePoliciesTest13',
  'AllCertificatesanyPolicyTest11',
  'AnyPolicyTest14',
  'CPSPointerQualifierTest20',
  'DifferentPoliciesTest3',
  'OverlappingPoliciesTest6',
  'UserNoticeQualifierTest15',
  'UserNoticeQualifierTest16',
  'UserNoticeQualifierTest17',
  'UserNoticeQualifierTest18',
  'UserNoticeQualifierTest19',
  'inhibitAnyPolicyTest3',
];

/** Valid for PKITS and refused by us, with CRLs required: every one, by the reason why that is right. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'policyConstraints and critical policy extensions: no manufacturer uses them, so they are not processed': [
    'AllCertificatesSamePoliciesTest10',
    'AllCertificatesSamePoliciesTest13',
    'AllCertificatesanyPolicyTest11',
    'AnyPolicyTest14',
    'OverlappingPoliciesTest6',
    'UserNoticeQualifierTest18',
    'ValidPolicyMappingTest1',
    'ValidPolicyMappingTest11',
    'ValidPolicyMappingTest12',
    'ValidPolicyMappingTest13',
    'ValidPolicyMappingTest14',
    'ValidPolicyMappingTest3',
    'ValidPolicyMappingTest5',
    'ValidPolicyMappingTest6',
    'ValidPolicyMappingTest9',
    'ValidSelfIssuedinhibitAnyPolicyTest7',
    'ValidSelfIssuedinhibitAnyPolicyTest9',
    'ValidSelfIssuedinhibitPolicyMappingTest7',
    'ValidSelfIssuedrequireExplicitPolicyTest6',
    'ValidinhibitAnyPolicyTest2',
    'ValidinhibitPolicyMappingTest2',
    'ValidinhibitPolicyMappingTest4',
    'ValidrequireExplicitPolicyTest1',
    'ValidrequireExplicitPolicyTest2',
    'ValidrequireExplicitPolicyTest4',
    'inhibitAnyPolicyTest3',
  ],
  'DSA: below the floor for signatures': ['ValidDSAParameterInheritanceTest5', 'ValidDSASignaturesTest4'],
  'a CRL signed by a certificate that is no CA: only CAs are loaded': [
    'ValidBasicSelfIssuedCRLSigningKeyTest6',
    'ValidSeparateCertificateandCRLKeysTest19',
  ],
  'indirect CRLs are not read': [
    'ValidIDPwithindirectCRLTest22',
    'ValidIDPwithindirectCRLTest24',
    'ValidIDPwithindirectCRLTest25',
    'ValidcRLIssuerTest28',
    'ValidcRLIssuerTest29',
    'ValidcRLIssuerTest30',
    'ValidcRLIssuerTest33',
  ],
  'a CRL of some certificates or reasons only proves nothing about what it does not list': [
    'ValiddistributionPointTest1',
    'ValiddistributionPointTest4',
    'ValiddistributionPointTest5',
    'ValiddistributionPointTest7',
    'ValidonlyContainsCACertsTest13',
    'ValidonlySomeReasonsTest18',
    'ValidonlySomeReasonsTest19',
  ],
  'on the base CRL and lifted by the delta CRL: what any loaded list revokes stays revoked': [
    'ValiddeltaCRLTest5',
  ],
};

/**
 * Invalid for PKITS because revocation cannot be judged, and accepted by us with a note unless CRLs are
 * required: every one.
 */
const NOTED: Readonly<Record<string, readonly string[]>> = {
  'no CRL of that CA, or none with a right signature of a key that may sign CRLs (the server does not start with such a one)':
    [
      'InvalidBadCRLIssuerNameTest5',
      'InvalidBadCRLSignatureTest4',
      'InvalidBasicSelfIssuedCRLSigningKeyTest7',
      'InvalidMissingCRLTest1',
      'InvalidSeparateCertificateandCRLKeysTest20',
      'InvalidSeparateCertificateandCRLKeysTest21',
      'InvalidWrongCRLTest6',
      'InvalidkeyUsageCriticalcRLSignFalseTest4',
      'InvalidkeyUsageNotCriticalcRLSignFalseTest5',
    ],
  'the CRL is not current': ['InvalidOldCRLnextUpdateTest11', 'Invalidpre2000CRLnextUpdateTest12'],
  'indirect CRLs are not read (the server does not start with one)': [
    'InvalidIDPwithindirectCRLTest23',
    'InvalidIDPwithindirectCRLTest26',
    'InvalidcRLIssuerTest27',
    'InvalidcRLIssuerTest31',
    'InvalidcRLIssuerTest32',
    'InvalidcRLIssuerTest34',
    'InvalidcRLIssuerTest35',
  ],
  'not on the CRL, which covers some certificates or reasons only': [
    'InvalidUnknownCRLExtensionTest10',
    'InvaliddeltaCRLIndicatorNoBaseTest1',
    'InvaliddeltaCRLTest10',
    'InvaliddistributionPointTest3',
    'InvaliddistributionPointTest8',
    'InvaliddistributionPointTest9',
    'InvalidonlyContainsAttributeCertsTest14',
    'InvalidonlyContainsCACertsTest12',
    'InvalidonlyContainsUserCertsTest11',
    'InvalidonlySomeReasonsTest17',
  ],
};

const namesIn = (table: Readonly<Record<string, readonly string[]>>) => Object.values(table).flat().sort();
const isValidFor = (name: string) => name.startsWith('Valid') || VALID_WITHOUT_SAYING.includes(name);

/** As a folder of the server, except that a file that would stop its start is left out. */
function loadAll(): TrustAnchors {
  const parsed = (
    folder: string,
    into: TrustAnchors,
    add: (to: TrustAnchors, der: Uint8Array) => TrustAnchors,
  ) =>
    readdirSync(join(FOLDER, folder))
      .filter((name) => !LEAF.test(name))
      .reduce((anchors, name) => {
        try {
          return add(anchors, readFileSync(join(FOLDER, folder, name)));
        } catch (cause) {
          expect(cause).toMatchObject({ code: 'trust-anchors-invalid' });
          return anchors;
        }
      }, into);
  const cas = parsed('certs', NO_TRUST_ANCHORS, (to, der) => mergeTrustAnchors([to, parseTrustAnchors(der)]));
  return parsed('crls', cas, addRevocationLists);
}

/** The path functions as `verifyEkCertificate` composes them; a leaf of any purpose, but of the right age. */
function judge(name: string, anchors: TrustAnchors, requireRevocationLists: boolean): string[] | undefined {
  try {
    const leaf = parseCertificate(readFileSync(join(FOLDER, 'certs', `${name}EE.crt`)));
    const nowMs = WITHIN_VALIDITY_MS;
    verifyLeafExtensions(leaf);
    if (nowMs < leaf.notBeforeMs || nowMs > leaf.notAfterMs) return undefined;
    return findPath(leaf, { anchors, nowMs, requireRevocationLists }).notes.map(({ code }) => code);
  } catch (cause) {
    expect(cause).toMatchObject({ code: expect.stringMatching(/^(?:ek|der)-/) });
    return undefined;
  }
}

describe.skipIf(!existsSync(FOLDER))('NIST PKITS (skipped without ../shared/corpora)', () => {
  const names = existsSync(FOLDER)
    ? readdirSync(join(FOLDER, 'certs'))
        .filter((name) => LEAF.test(name))
        .map((name) => name.replace(LEAF, ''))
    : [];
  const anchors = existsSync(FOLDER) ? loadAll() : NO_TRUST_ANCHORS;
  const refused = new Set(names.filter((name) => judge(name, anchors, true) === undefined));

  it('has 223 end entities here, 1 root, 173 other CAs and 156 CRLs that can be loaded', () => {
    expect([names.length, names.filter(isValidFor).length]).toEqual([223, 102]);
    expect([anchors.roots.length, anchors.intermediates.length]).toEqual([1, 173]);
    expect(anchors.revocationLists.length).toBe(156);
  });

  it('E4 E6 sees nothing accepted that is invalid, with CRLs required', () => {
    expect(names.filter((name) => !isValidFor(name) && !refused.has(name))).toEqual([]);
  });

  it('sees refused of what is valid exactly what the table explains', () => {
    expect(names.filter((name) => isValidFor(name) && refused.has(name)).sort()).toEqual(namesIn(REFUSED));
  });

  it('sees accepted of what is invalid, without required CRLs, only what the table explains, each with a note', () => {
    const accepted = names
      .filter((name) => !isValidFor(name))
      .map((name) => ({ name, notes: judge(name, anchors, false) }))
      .filter(({ notes }) => notes !== undefined);
    expect(accepted.map(({ name }) => name).sort()).toEqual(namesIn(NOTED));
    for (const { notes } of accepted) expect(notes?.join()).toMatch(/ek-crl-(?:missing|expired)/);
  });
});
