import 'reflect-metadata';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  X509Certificate as PeculiarCertificate,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';

/**
 * The one door to `@peculiar/x509` in this room: it reads extensions, node:crypto reads everything else and
 * checks signatures. Nothing here decides.
 */
export interface Certificate {
  der: Uint8Array;
  /** For signatures and issuing; `publicKey` throws for key types that OpenSSL does not take. */
  node: NodeCertificate;
  /** One line; real EK certificates have an empty one. */
  subject: string;
  issuer: string;
  notBeforeMs: number;
  notAfterMs: number;
  extensions: readonly { oid: string; critical: boolean }[];
  /** Absent extension: absent field. */
  basicConstraints?: { ca: boolean; pathLength?: number };
  keyUsage?: { keyEncipherment: boolean; keyAgreement: boolean; keyCertSign: boolean };
  extendedKeyUsages?: readonly string[];
  /** Attributes of the directoryNames in subjectAltName, whatever their layout in RDNs. */
  alternativeNameAttributes: readonly { oid: string; value: string }[];
}

/** @throws {Error} of either library when the bytes are not one DER certificate */
export function parseCertificate(der: Uint8Array): Certificate {
  const node = new NodeCertificate(der);
  if (node.raw.length !== der.length) throw new Error('bytes behind the certificate');
  const peculiar = new PeculiarCertificate(new Uint8Array(der));
  return {
    der,
    node,
    subject: nameOf(node.subject),
    issuer: nameOf(node.issuer),
    notBeforeMs: node.validFromDate.getTime(),
    notAfterMs: node.validToDate.getTime(),
    extensions: peculiar.extensions.map(({ type, critical }) => ({ oid: type, critical })),
    ...readConstraints(peculiar),
    alternativeNameAttributes: readAlternativeName(peculiar),
  };
}

/** Node gives one attribute a line, and no string at all for an empty name. */
function nameOf(distinguishedName: string | undefined): string {
  return distinguishedName?.replaceAll('\n', ', ') ?? '(no name)';
}

function readConstraints(
  certificate: PeculiarCertificate,
): Pick<Certificate, 'basicConstraints' | 'keyUsage' | 'extendedKeyUsages'> {
  const basic = certificate.getExtension(BasicConstraintsExtension);
  const usages = certificate.getExtension(KeyUsagesExtension)?.usages;
  const extended = certificate.getExtension(ExtendedKeyUsageExtension);
  return {
    ...(basic === null
      ? {}
      : {
          basicConstraints: {
            ca: basic.ca,
            ...(basic.pathLength === undefined ? {} : { pathLength: basic.pathLength }),
          },
        }),
    ...(usages === undefined
      ? {}
      : {
          keyUsage: {
            keyEncipherment: (usages & KeyUsageFlags.keyEncipherment) !== 0,
            keyAgreement: (usages & KeyUsageFlags.keyAgreement) !== 0,
            keyCertSign: (usages & KeyUsageFlags.keyCertSign) !== 0,
          },
        }),
    ...(extended === null ? {} : { extendedKeyUsages: extended.usages.map(String) }),
  };
}

function readAlternativeName(certificate: PeculiarCertificate): { oid: string; value: string }[] {
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  return names
    .filter(({ type }) => type === 'dn')
    .flatMap(({ value }) => new Name(value).toJSON())
    .flatMap((rdn) => Object.entries(rdn))
    .flatMap(([oid, values]) => values.map((value) => ({ oid, value })));
}
