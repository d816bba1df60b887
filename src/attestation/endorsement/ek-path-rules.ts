import type { KeyObject } from 'node:crypto';
import { messageOf } from '../../core/errors.ts';
import { Refusal } from '../reasons.ts';
import { nameConstraintBreach } from '../x509/name-constraints.ts';
import type { Certificate } from '../x509/x509.ts';
import { isSameName } from '../x509/x509-names.ts';
import { verifyRevocation } from './ek-revocation.ts';
import { strongHashOf, verifyIssuerKey } from './ek-signature-strength.ts';
import type { TrustAnchors } from './trust-anchors.ts';

export interface EkPathOptions {
  anchors: TrustAnchors;
  nowMs: number;
  /** Real manufacturer intermediates expire long before their chips do: only if the operator says so. */
  acceptExpiredIssuers?: boolean;
  /** Refuse where there is no complete and current CRL; otherwise that is a note. */
  requireRevocationLists?: boolean;
  /** What CAs must certify for where they say what; endorsement keys unless told. */
  caPurpose?: string;
}

/** Policies (2.5.29.32) constrain nothing unless somebody requires one (RFC 5280, section 6.1.1), and we do not. */
const UNDERSTOOD_EXTENSIONS: readonly string[] = [
  '2.5.29.15',
  '2.5.29.17',
  '2.5.29.19',
  '2.5.29.30',
  '2.5.29.32',
  '2.5.29.37',
];
/** policyConstraints can require a policy, so it is never passed over, critical or not. */
const POLICY_CONSTRAINTS = '2.5.29.36';

/** TCG EK Credential Profile 2.5, section 3: tcg-kp-EKCertificate. */
export const EK_CERTIFICATE_PURPOSE = '2.23.133.8.1';
const ANY_PURPOSE = '2.5.29.37.0';

/** What needs no other certificate. @throws {Refusal} `ek-certificate-extension` */
export function verifyLeafExtensions(leaf: Certificate): void {
  verifyExtensions(leaf);
  if (leaf.nameConstraints !== undefined)
    throw new Refusal('ek-certificate-extension', `${leaf.subject}: name constraints, and it is no CA`);
}

/** A path that has not reached a root yet. */
export interface PathBelow {
  leaf: Certificate;
  /** From the leaf's issuer to `top`; empty while that is the leaf. */
  issuers: readonly Certificate[];
  top: Certificate;
}

/**
 * May `issuer` stand above `path`, whose top it signed? RFC 5280, sections 6.1.3 and 6.1.4, from the leaf
 * upwards. Returns a note when revocation could not be judged.
 *
 * @throws {Refusal}
 */
export function verifyIssuer(
  path: PathBelow,
  issuer: Certificate,
  options: EkPathOptions,
): ReturnType<typeof verifyRevocation> {
  verifyExtensions(issuer);
  const constrained = path.issuers.filter((ca) => !isSelfIssued(ca));
  verifyAuthority(issuer, constrained.length, options);
  verifyNames(issuer, [path.leaf, ...constrained]);
  return verifyRevocation({ subject: path.top, issuer, ...options });
}

/**
 * Signatures that held, by issuer and child. That never changes, so it is judged once for the CAs of a server;
 * times, names and revocation are judged each time. Forgotten with the certificates.
 */
const VERIFIED = new WeakMap<Certificate, WeakSet<Certificate>>();
const STRONG_KEYS = new WeakMap<Certificate, KeyObject>();

/** @throws {Refusal} when the signature is weak, or not by that key */
export function verifySignature(child: Certificate, issuer: Certificate): void {
  const verified = VERIFIED.get(issuer) ?? new WeakSet();
  if (verified.has(child)) return;
  strongHashOf(child.subject, child.node.signatureAlgorithmOid);
  if (!child.node.verify(strongKeyOf(issuer)))
    throw new Refusal('ek-certificate-untrusted', `${child.subject}: not signed by ${issuer.subject}`);
  VERIFIED.set(issuer, verified.add(child));
}

function strongKeyOf(issuer: Certificate): KeyObject {
  const known = STRONG_KEYS.get(issuer);
  if (known !== undefined) return known;
  const key = keyOf(issuer);
  verifyIssuerKey(issuer.subject, key);
  STRONG_KEYS.set(issuer, key);
  return key;
}

function keyOf({ node, subject }: Certificate): KeyObject {
  try {
    return node.publicKey;
  } catch (cause) {
    throw new Refusal(
      'ek-certificate-signature-weak',
      `${subject}: its key is unusable: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

/** RFC 5280, section 3.2: subject and issuer are the same, as when a CA changes its key. */
function isSelfIssued({ subjectName, issuerName }: Certificate): boolean {
  return isSameName(subjectName, issuerName);
}

function verifyExtensions({ extensions, subject }: Certificate): void {
  const oids = extensions.map(({ oid }) => oid);
  const twice = oids.find((oid, index) => oids.indexOf(oid) !== index);
  if (twice !== undefined)
    throw new Refusal('ek-certificate-extension', `${subject}: extension ${twice} appears twice`);
  const unknown = extensions.find(
    ({ oid, critical }) => oid === POLICY_CONSTRAINTS || (critical && !UNDERSTOOD_EXTENSIONS.includes(oid)),
  );
  if (unknown !== undefined)
    throw new Refusal('ek-certificate-extension', `${subject}: extension ${unknown.oid} is not understood`);
}

/** `below` is the number of CAs between it and the leaf, without self-issued ones (section 4.2.1.9). */
function verifyAuthority(issuer: Certificate, below: number, options: EkPathOptions): void {
  const untrusted = (why: string) => new Refusal('ek-certificate-untrusted', `${issuer.subject}: ${why}`);
  if (issuer.subjectName.canonical.length === 0) throw untrusted('a CA without a name');
  if (issuer.basicConstraints?.ca !== true) throw untrusted('it is not a CA certificate');
  const { pathLength } = issuer.basicConstraints;
  if (pathLength !== undefined && below > pathLength)
    throw untrusted(`its path length allows ${pathLength} CAs below it, there are ${below}`);
  if (issuer.keyUsage?.keyCertSign === false) throw untrusted('it may not sign certificates');
  if (!isForPurpose(issuer, options.caPurpose ?? EK_CERTIFICATE_PURPOSE))
    throw untrusted('it is a CA for other purposes than endorsement keys');
  if (options.nowMs < issuer.notBeforeMs)
    throw untrusted(
      `valid from ${new Date(issuer.notBeforeMs).toISOString()}, it is ${new Date(options.nowMs).toISOString()}`,
    );
  if (options.nowMs > issuer.notAfterMs && options.acceptExpiredIssuers !== true)
    throw untrusted(`expired on ${new Date(issuer.notAfterMs).toISOString()}`);
}

/**
 * A CA that names purposes certifies for no other. RFC 5280 leaves that open (section 4.2.1.12); no CA of a TPM
 * manufacturer that we know needs it otherwise, and their roots may have CAs for other things below them.
 */
function isForPurpose({ extendedKeyUsages }: Certificate, purpose: string): boolean {
  if (extendedKeyUsages === undefined) return true;
  return extendedKeyUsages.includes(purpose) || extendedKeyUsages.includes(ANY_PURPOSE);
}

/** Section 6.1.3 (b) and (c): of the leaf, and of everything between but self-issued CAs. */
function verifyNames({ nameConstraints, subject }: Certificate, below: readonly Certificate[]): void {
  if (nameConstraints === undefined) return;
  for (const certificate of below) {
    const breach = nameConstraintBreach(nameConstraints, certificate);
    if (breach !== undefined)
      throw new Refusal('ek-certificate-name-constraints', `${certificate.subject}: ${breach} by ${subject}`);
  }
}
