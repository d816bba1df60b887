import { CodedError, messageOf } from '../core/errors.ts';
import { type Certificate, parseCertificate } from './x509.ts';

export class TrustAnchorError extends CodedError<'trust-anchors-invalid'> {}

/** Manufacturer certificates: every path ends at a self-signed root; the others only help to get there. */
export interface TrustAnchors {
  roots: readonly Certificate[];
  intermediates: readonly Certificate[];
}

export const NO_TRUST_ANCHORS: TrustAnchors = { roots: [], intermediates: [] };

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;
const PEM_BEGIN = '-----BEGIN ';

/**
 * Reads one DER certificate or any number of PEM ones with text in between. What cannot be read is an
 * error and not skipped: a typing mistake must not silently shorten the list.
 *
 * @throws {TrustAnchorError}
 */
export function parseTrustAnchors(bundle: Uint8Array): TrustAnchors {
  const certificates = splitBundle(bundle).map((der, index) => readCa(der, index));
  const unique = [...new Map(certificates.map((ca) => [ca.node.fingerprint256, ca])).values()];
  return {
    roots: unique.filter(isSelfSigned),
    intermediates: unique.filter((certificate) => !isSelfSigned(certificate)),
  };
}

export function mergeTrustAnchors(all: readonly TrustAnchors[]): TrustAnchors {
  const unique = (certificates: readonly Certificate[]) => [
    ...new Map(certificates.map((ca) => [ca.node.fingerprint256, ca])).values(),
  ];
  return {
    roots: unique(all.flatMap(({ roots }) => roots)),
    intermediates: unique(all.flatMap(({ intermediates }) => intermediates)),
  };
}

function splitBundle(bundle: Uint8Array): Uint8Array[] {
  if (bundle[0] === 0x30) return [bundle];
  const text = Buffer.from(bundle).toString('latin1');
  const blocks = [...text.matchAll(PEM_BLOCK)].map(([, body = '']) => Buffer.from(body, 'base64'));
  const begun = text.split(PEM_BEGIN).length - 1;
  if (blocks.length === 0 || blocks.length !== begun)
    throw new TrustAnchorError('trust-anchors-invalid', `${begun} PEM blocks, ${blocks.length} certificates`);
  return blocks;
}

function readCa(der: Uint8Array, index: number): Certificate {
  try {
    const certificate = parseCertificate(der);
    if (certificate.basicConstraints?.ca !== true)
      throw new Error(`${certificate.subject} is no CA certificate`);
    return certificate;
  } catch (cause) {
    throw new TrustAnchorError('trust-anchors-invalid', `certificate ${index + 1}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function isSelfSigned({ node }: Certificate): boolean {
  return node.issuer === node.subject && node.verify(node.publicKey);
}
