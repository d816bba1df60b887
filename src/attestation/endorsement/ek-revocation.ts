import { type Finding, Refusal } from '../reasons.ts';
import type { Certificate } from '../x509/x509.ts';
import type { TrustAnchors } from './trust-anchors.ts';

/**
 * Is `subject` on a CRL of its issuer? What a CRL lists counts whatever its dates: a revocation does not
 * wear off. What it does not list says something only while the list is complete and current.
 *
 * @returns a note when that could not be had
 * @throws {Refusal} `ek-certificate-revoked`, or `ek-revocation-unknown` when lists are required
 */
export function verifyRevocation(input: {
  subject: Certificate;
  issuer: Certificate;
  anchors: TrustAnchors;
  nowMs: number;
  requireRevocationLists?: boolean;
}): Finding | undefined {
  const { subject, issuer, nowMs } = input;
  const lists = input.anchors.revocationLists.filter(({ authorityIds }) =>
    authorityIds.includes(issuer.authorityId),
  );
  if (lists.some(({ revoked }) => revoked.has(subject.serial)))
    throw new Refusal('ek-certificate-revoked', `${subject.subject}: revoked by ${issuer.subject}`);
  const complete = lists.filter(({ isComplete }) => isComplete);
  if (complete.some((list) => list.thisUpdateMs <= nowMs && nowMs <= list.nextUpdateMs)) return undefined;
  const doubt: Finding =
    complete.length === 0
      ? { code: 'ek-crl-missing', message: `no CRL of ${issuer.subject}` }
      : { code: 'ek-crl-expired', message: `the CRL of ${issuer.subject} is not current` };
  if (input.requireRevocationLists === true) throw new Refusal('ek-revocation-unknown', doubt.message);
  return doubt;
}
