import { execFileSync } from 'node:child_process';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { verifyAuditLog } from '../../src/boot-signer/audit/audit-log.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { sha256, toHex } from '../../src/core/bytes.ts';
import { canonicalOf, ServiceFolder, timestampOf } from './service-fixture.ts';

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });

/** A certificate in PEM beside its key: self-signed, or by a CA. */
function issue(folder: string, name: string, ca?: string): void {
  const file = (extension: string, of = name) => join(folder, `${of}.${extension}`);
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('pem-key')];
  const issuer = ca === undefined ? [] : ['-CA', file('crt', ca), '-CAkey', file('pem-key', ca)];
  openssl('req', '-x509', '-days', '2', ...key, ...subject, ...issuer, '-out', file('crt'));
}

it('over TCP only listed clients with a certificate of the CA are heard', async () => {
  const service = new ServiceFolder();
  const { keyId } = await service.addKey('online');
  const { folder } = service;
  issue(folder, 'ca');
  issue(folder, 'other-ca');
  for (const name of ['server', 'ci', 'unlisted']) issue(folder, name, 'ca');
  issue(folder, 'stranger', 'other-ca');
  const { publicKey } = new X509Certificate(readFileSync(join(folder, 'ci.crt')));
  const spkiSha256 = toHex(
    sha256(
      createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })).export({
        type: 'spki',
        format: 'der',
      }),
    ),
  );
  writeFileSync(join(folder, 'server.key'), readFileSync(join(folder, 'server.pem-key')), { mode: 0o600 });
  service.configure({
    roles: [{ role: 'timestamp', keys: ['online'], maxDays: 30 }],
    tcp: {
      host: '127.0.0.1',
      port: 0,
      certificateFile: 'server.crt',
      keyFile: 'server.key',
      clientCaFile: 'ca.crt',
      clients: [{ name: 'ci', spkiSha256 }],
    },
  });
  await service.initialise();
  const { port } = await service.start();
  const canonical = canonicalOf(timestampOf(1));
  const signAs = (name: string) => {
    const read = (file: string) => readFileSync(join(folder, file));
    const tls = { ca: read('ca.crt'), cert: read(`${name}.crt`), key: read(`${name}.pem-key`) };
    return createSigningServiceSigner({ host: '127.0.0.1', port, tls }).sign({
      role: 'timestamp',
      keyIds: [keyId],
      canonical,
    });
  };
  await expect(signAs('stranger')).rejects.toMatchObject({ code: 'signing-service-unreachable' });
  await expect(signAs('unlisted')).rejects.toThrow(/client-unknown/);
  expect(await signAs('ci')).toHaveLength(1);
  const signed = verifyAuditLog(service.audit()).records.find(({ event }) => event.type === 'signed');
  expect(signed?.event.client).toBe('ci');
});
