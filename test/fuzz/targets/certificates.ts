import 'reflect-metadata';
import { X509CrlGenerator } from '@peculiar/x509';
import { verifyEkCertificate } from '../../../src/attestation/endorsement/ek-certificate.ts';
import { mergeTrustAnchors, parseTrustAnchors } from '../../../src/attestation/endorsement/trust-anchors.ts';
import { unwrapNvCertificate } from '../../../src/attestation/quote/nv-certificate.ts';
import { parseRevocationList } from '../../../src/attestation/x509/crl.ts';
import { concatBytes, toBase64, utf8Bytes } from '../../../src/core/bytes.ts';
import { createAuthority, issueEk, NOT_AFTER, NOT_BEFORE } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { createEk, NOW_MS } from '../../attestation/endorsement/certificate-maker.ts';
import { corpusFiles } from '../corpora.ts';
import { type FuzzTarget, requireSame } from '../target.ts';

export const CERTIFICATE_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'nv-certificate',
    format: 'bytes',
    prepare: async () => ({
      seeds: nvSpellings((await createHierarchy()).certificate),
      examine: (input) => {
        const certificate = unwrapNvCertificate(input);
        requireSame(unwrapNvCertificate(certificate), certificate);
        return certificate;
      },
    }),
  },
  {
    name: 'ek-certificate',
    format: 'bytes',
    prepare: async () => {
      const { root, intermediate, ekPublic, certificate } = await createHierarchy();
      const anchors = mergeTrustAnchors([root, intermediate].map((ca) => parseTrustAnchors(ca.certificate)));
      return {
        seeds: nvSpellings(certificate),
        examine: (input) => {
          const verified = verifyEkCertificate({ certificate: input, ekPublic, anchors, nowMs: NOW_MS });
          requireSame(verified.certificate, certificate);
          return verified;
        },
      };
    },
  },
  {
    name: 'trust-anchors',
    format: 'bytes',
    prepare: async () => {
      const { root, intermediate } = await createHierarchy();
      const bundle = [root, intermediate].map(({ certificate }) => pemOf(certificate)).join('\n');
      return {
        seeds: [
          root.certificate,
          utf8Bytes(bundle),
          ...corpusFiles('keylime/keylime/tpm_cert_store', '.pem'),
          ...corpusFiles('wbond/certvalidator/tests/fixtures/nist_pkits/certs', '.crt'),
        ],
        examine: (input) => {
          const { roots, intermediates } = parseTrustAnchors(input);
          return [...roots, ...intermediates].map(({ der }) => der);
        },
      };
    },
  },
  {
    name: 'revocation-list',
    format: 'bytes',
    prepare: async () => ({
      seeds: [
        await createRevocationList(),
        ...corpusFiles('wbond/certvalidator/tests/fixtures/nist_pkits/crls', '.crl'),
      ],
      examine: parseRevocationList,
    }),
  },
];

async function createRevocationList(): Promise<Uint8Array> {
  const { name, keys } = await createAuthority('Root');
  const list = await X509CrlGenerator.create({
    issuer: `CN=${name}`,
    thisUpdate: NOT_BEFORE,
    nextUpdate: NOT_AFTER,
    entries: [{ serialNumber: '0a', revocationDate: NOT_BEFORE }],
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    signingKey: keys.privateKey,
  });
  return new Uint8Array(list.rawData);
}

async function createHierarchy() {
  const root = await createAuthority('Root');
  const intermediate = await createAuthority('Intermediate', root);
  const { publicKey, ekPublic } = await createEk();
  return { root, intermediate, ekPublic, certificate: await issueEk(publicKey, intermediate) };
}

/** Bare; and behind the TCG header, with the rest of the index unwritten. */
function nvSpellings(certificate: Uint8Array): Uint8Array[] {
  const { length } = certificate;
  const header = Uint8Array.of(0x10, 0x01, 0, length >> 8, length & 0xff, 0x10, 0x02);
  return [certificate, concatBytes(header, certificate, new Uint8Array(200).fill(0xff))];
}

function pemOf(certificate: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${toBase64(certificate)}\n-----END CERTIFICATE-----\n`;
}
