import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';

/** A client of the agents' door with an ephemeral certificate, as stage-0 has one. */
export interface EphemeralClient {
  /** SubjectPublicKeyInfo of its key, DER. */
  spki: Uint8Array;
  /** Sends JSON; answers the JSON document that came back, whatever its status. */
  post(path: string, body: unknown): Promise<Record<string, unknown>>;
}

export function createEphemeralClient({ port, ca }: { port: number; ca: Uint8Array }): EphemeralClient {
  const { key, certificate } = makeCertificate();
  return {
    spki: new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }),
    async post(path, body) {
      const payload = JSON.stringify(body);
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
      const options = { host: '127.0.0.1', port, path, method: 'POST', headers, ca: Buffer.from(ca) };
      const answer = await new Promise<string>((resolve, reject) => {
        const call = request({ ...options, key, cert: certificate }, (response) => resolve(text(response)));
        call.on('error', reject);
        call.end(payload);
      });
      return JSON.parse(answer) as Record<string, unknown>;
    },
  };
}

function makeCertificate(): { key: string; certificate: string } {
  const pem = execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-config', '/dev/null', '-batch', '-nodes', '-subj', '/CN=ephemeral', '-days', '2'],
      ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', '-'],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const certificateAt = pem.indexOf('-----BEGIN CERTIFICATE-----');
  return { key: pem.slice(0, certificateAt), certificate: pem.slice(certificateAt) };
}
