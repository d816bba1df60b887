import { sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { childrenOf, expectTag, sequenceOf, TAG } from '../x509/x509-der.ts';
import { isDer, readPemBlocks } from '../x509/x509-pem.ts';
import { adoptPinnedRoots, type PinnedRoot } from './trust-anchor-pins.ts';
import {
  addRevocationLists,
  mergeTrustAnchors,
  parseTrustAnchors,
  TrustAnchorError,
  type TrustAnchors,
} from './trust-anchors.ts';

/** One CA certificate or CRL, not judged yet. */
export interface BundleItem {
  kind: 'certificate' | 'crl';
  der: Uint8Array;
  /** Hex, of `der`: its name in lists and files. */
  sha256: string;
  /** The file it came from, for messages. */
  file?: string;
}

/**
 * What manufacturers publish and operators hand in: CA certificates and CRLs, one in DER or any number in PEM,
 * mixed. Something else among them is an error and not skipped. None twice.
 *
 * @throws {TrustAnchorError}
 */
export function splitBundle(bytes: Uint8Array): BundleItem[] {
  try {
    const ders = isDer(bytes)
      ? [bytes]
      : readPemBlocks(bytes, ['CERTIFICATE', 'X509 CRL']).map(({ der }) => der);
    return withoutRepetition(ders.map(toItem));
  } catch (cause) {
    throw new TrustAnchorError('trust-anchors-invalid', messageOf(cause), { cause });
  }
}

export function withoutRepetition<Item extends BundleItem>(items: readonly Item[]): Item[] {
  return [...new Map(items.map((item) => [item.sha256, item])).values()];
}

/**
 * The whole of it, judged together: a CRL needs the CA that signed it, wherever that came from.
 *
 * @throws {TrustAnchorError} naming the first that is no CA certificate, or a CRL of nobody here
 */
export function assembleTrustAnchors(
  items: readonly BundleItem[],
  pins: readonly PinnedRoot[],
): TrustAnchors {
  const of = (kind: BundleItem['kind']) => items.filter((item) => item.kind === kind);
  const certificates = of('certificate').map((item) => naming(item, () => parseTrustAnchors(item.der)));
  return of('crl').reduce(
    (anchors, item) => naming(item, () => addRevocationLists(anchors, item.der)),
    adoptPinnedRoots(mergeTrustAnchors(certificates), pins),
  );
}

function naming<Value>({ file, sha256 }: BundleItem, read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    const message = `${file ?? sha256}: ${messageOf(cause)}`;
    throw new TrustAnchorError('trust-anchors-invalid', message, { cause });
  }
}

function toItem(der: Uint8Array): BundleItem {
  return { kind: isRevocationList(der) ? 'crl' : 'certificate', der, sha256: toHex(sha256(der)) };
}

/** TBSCertList has thisUpdate as a field of its own, TBSCertificate only a sequence of two times. */
function isRevocationList(der: Uint8Array): boolean {
  const fields = childrenOf(expectTag(sequenceOf(der)[0], TAG.sequence));
  return fields.some(({ tag }) => tag === TAG.utcTime || tag === TAG.generalizedTime);
}
