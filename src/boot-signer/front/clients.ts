import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { sha256, toHex } from '../../core/bytes.ts';
import type { Config } from '../config.ts';
import { refuse } from '../errors.ts';

export const LOCAL_CLIENT = 'local';

/**
 * Who asks: on the Unix socket everyone who may open it is one client; over TCP the one whose certificate, of
 * our CA, holds a listed key. The name says whose request it is, and approves nothing.
 *
 * @throws {RefusedError} `client-unknown`
 */
export function clientOf(socket: object, tcp: Config['tcp']): string {
  const peer = (socket as Partial<TLSSocket>).getPeerCertificate?.();
  if (peer === undefined) return LOCAL_CLIENT;
  const spki = spkiSha256Of(peer.raw);
  const client = tcp?.clients.find(({ spkiSha256 }) => spkiSha256 === spki);
  return (
    client?.name ??
    refuse('client-unknown', `no client is configured with the key ${spki ?? 'that it did not show'}`)
  );
}

function spkiSha256Of(der: Uint8Array | undefined): string | undefined {
  if (der === undefined) return undefined;
  return toHex(sha256(new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' })));
}
