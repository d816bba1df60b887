import 'reflect-metadata';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { X509Certificate, X509ChainBuilder } from '@peculiar/x509';
import { verifyEkCertificate } from '../../src/attestation/endorsement/ek-certificate.ts';
import { mergeTrustAnchors, parseTrustAnchors } from '../../src/attestation/endorsement/trust-anchors.ts';
import { parseCertificate } from '../../src/attestation/x509/x509.ts';
import { createAuthority, issueEk } from '../../src/fleet-sim/chip/manufacturer.ts';
import { createEk, NOW_MS } from '../attestation/endorsement/certificate-maker.ts';
import { CORPORA } from '../corpora.ts';
import type { Measurement } from './bench-process.ts';

const ROUNDS = 7;
const CALLS_PER_ROUND = 500;
const CHAINS_PER_ROUND = 20;

/**
 * EK certificates verified per second on one core, each anew, below two intermediates and a root among all
 * CAs that there are. The best round counts: others work on this machine too.
 */
export async function benchEk(): Promise<Measurement[]> {
  const root = await createAuthority('Root');
  const upper = await createAuthority('Upper', root);
  const lower = await createAuthority('Lower', upper);
  const { publicKey, ekPublic } = await createEk();
  const certificate = await issueEk(publicKey, lower);
  const own = [root, upper, lower].map((ca) => ca.certificate);
  const anchors = mergeTrustAnchors([...own, ...manufacturerFiles()].map(parseTrustAnchors));
  const issuer = parseCertificate(lower.certificate).node.publicKey;
  const leaf = parseCertificate(certificate).node;
  const count = anchors.roots.length + anchors.intermediates.length;
  const whole = await best(CALLS_PER_ROUND, () =>
    verifyEkCertificate({ certificate, ekPublic, anchors, nowMs: NOW_MS }),
  );
  const bare = await best(CALLS_PER_ROUND, () => leaf.verify(issuer));
  const builder = new X509ChainBuilder({ certificates: own.map((der) => new X509Certificate(der)) });
  const built = await best(CHAINS_PER_ROUND, () => builder.build(new X509Certificate(certificate)));
  return [
    { name: `EK certificates verified per second, ${count} CAs`, value: whole.toFixed(0), aim: '≥ 1500' },
    { name: 'bare check of one P-256 signature per second', value: bare.toFixed(0), aim: '' },
    { name: 'chains built by @peculiar/x509 per second, 3 CAs', value: built.toFixed(0), aim: '' },
  ];
}

function manufacturerFiles(): Uint8Array[] {
  const folders = ['loicsikidi/tpm-ca-certificates', 'keylime/keylime/tpm_cert_store'];
  return folders
    .map((folder) => join(CORPORA, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.pem'))
        .map((name) => readFileSync(join(folder, name))),
    );
}

/** Per second of this process's CPU. */
async function best(calls: number, action: () => unknown): Promise<number> {
  let rate = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    for (let call = 0; call < calls; call += 1) await action();
    const { user, system } = process.cpuUsage(before);
    rate = Math.max(rate, (calls * 1e6) / (user + system));
  }
  return rate;
}

if (import.meta.main)
  for (const { name, value, aim } of await benchEk()) console.log(`${name}: ${value} ${aim}`);
