import 'reflect-metadata';
import type { Extension } from '@peculiar/x509';
import { type X509CrlEntryParams, X509CrlGenerator } from '@peculiar/x509';
import { asciiBytes } from '../../../src/core/bytes.ts';
import type { Authority } from '../../../src/fleet-sim/chip/manufacturer.ts';

export const THIS_UPDATE = new Date('2026-11-01T00:00:00Z');
export const NEXT_UPDATE = new Date('2026-12-01T00:00:00Z');

/** A CRL as a manufacturer's CA issues it, right by default; every certificate here has serial number 1. */
export async function issueCrl(
  authority: Authority,
  options: {
    entries?: X509CrlEntryParams[];
    /** Whose key signs, if not the authority's own. */
    signer?: Authority;
    thisUpdate?: Date;
    nextUpdate?: Date | null;
    extensions?: Extension[];
    hash?: string;
  } = {},
): Promise<Uint8Array> {
  const { nextUpdate = NEXT_UPDATE } = options;
  const crl = await X509CrlGenerator.create({
    issuer: `CN=${authority.name}`,
    thisUpdate: options.thisUpdate ?? THIS_UPDATE,
    ...(nextUpdate !== null && { nextUpdate }),
    entries: options.entries ?? [],
    extensions: options.extensions ?? [],
    signingAlgorithm: { name: 'ECDSA', namedCurve: 'P-256', hash: options.hash ?? 'SHA-256' },
    signingKey: (options.signer ?? authority).keys.privateKey,
  });
  return new Uint8Array(crl.rawData);
}

export const REVOKED: X509CrlEntryParams = { serialNumber: '01', revocationDate: THIS_UPDATE };

export function crlPem(der: Uint8Array): Uint8Array {
  return asciiBytes(
    `-----BEGIN X509 CRL-----\n${Buffer.from(der).toString('base64')}\n-----END X509 CRL-----\n`,
  );
}
