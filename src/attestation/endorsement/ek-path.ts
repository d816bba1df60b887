import { type Finding, Refusal } from '../reasons.ts';
import type { Certificate } from '../x509/x509.ts';
import { type DistinguishedName, nameKeyOf } from '../x509/x509-names.ts';
import { type EkPathOptions, type PathBelow, verifyIssuer, verifySignature } from './ek-path-rules.ts';
import type { TrustAnchors } from './trust-anchors.ts';

export type { EkPathOptions };

export interface VerifiedPath {
  /** From the leaf's issuer to the root. */
  issuers: readonly Certificate[];
  root: Certificate;
  notes: readonly Finding[];
}

const MAX_ISSUERS = 5;
/** Cross-signs and equal names multiply paths: a bound on work, far above any real hierarchy. */
const MAX_SIGNATURE_CHECKS = 64;

/**
 * The shortest valid path from `leaf` to a root: all paths are tried, short ones first, none through the same
 * CA (name and key) twice, until the work is used up.
 *
 * @throws {Refusal} with the fault of the path that came nearest
 */
export function findPath(leaf: Certificate, options: EkPathOptions): VerifiedPath {
  if (options.anchors.roots.length === 0)
    throw new Refusal(
      'ek-trust-anchors-missing',
      'no root certificate of any TPM manufacturer is configured',
    );
  const search: Search = { options, signatureChecks: 0 };
  let paths: NotedPath[] = [{ leaf, issuers: [], top: leaf, notes: [] }];
  for (let length = 1; length <= MAX_ISSUERS && paths.length > 0; length += 1) {
    paths = paths.flatMap((path) => lengthen(search, path));
    const complete = paths.find(({ top }) => options.anchors.roots.includes(top));
    if (complete !== undefined)
      return { issuers: complete.issuers, root: complete.top, notes: complete.notes };
  }
  throw (
    search.fault?.refusal ??
    new Refusal('ek-certificate-untrusted', `no accepted CA issued it; its issuer is ${leaf.issuer}`)
  );
}

type NotedPath = PathBelow & { notes: readonly Finding[] };

interface Search {
  options: EkPathOptions;
  signatureChecks: number;
  fault?: { refusal: Refusal; rank: number };
}

function lengthen(search: Search, path: NotedPath): NotedPath[] {
  const below = [path.leaf, ...path.issuers];
  return casNamed(path.top.issuerName, search.options.anchors)
    .filter(({ authorityId }) => below.every((certificate) => certificate.authorityId !== authorityId))
    .flatMap((issuer) => attempt(search, path, issuer));
}

/** Found once for each set of anchors: a server holds hundreds of CAs and replaces the whole set. */
const CAS_BY_NAME = new WeakMap<TrustAnchors, ReadonlyMap<string, readonly Certificate[]>>();

function casNamed(name: DistinguishedName, anchors: TrustAnchors): readonly Certificate[] {
  let cas = CAS_BY_NAME.get(anchors);
  if (cas === undefined) {
    const all = [...anchors.roots, ...anchors.intermediates];
    cas = Map.groupBy(all, ({ subjectName }) => nameKeyOf(subjectName));
    CAS_BY_NAME.set(anchors, cas);
  }
  return cas.get(nameKeyOf(name)) ?? [];
}

/** Faults rank by how near they came: a wrong signature lowest, then by length, and revocation above all. */
function attempt(search: Search, path: NotedPath, issuer: Certificate): NotedPath[] {
  let rank = 0;
  try {
    countSignatureCheck(search);
    verifySignature(path.top, issuer);
    rank = 1 + path.issuers.length;
    const note = verifyIssuer(path, issuer, search.options);
    const notes = note === undefined ? path.notes : [...path.notes, note];
    return [{ leaf: path.leaf, issuers: [...path.issuers, issuer], top: issuer, notes }];
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    if (cause.code === 'ek-certificate-revoked') rank = MAX_ISSUERS + 1;
    if (search.fault === undefined || rank > search.fault.rank) search.fault = { refusal: cause, rank };
    return [];
  }
}

function countSignatureCheck(search: Search): void {
  if (search.signatureChecks === MAX_SIGNATURE_CHECKS)
    throw new Refusal('ek-certificate-untrusted', 'too many possible paths to a root');
  search.signatureChecks += 1;
}
