import { X509Certificate } from 'node:crypto';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { sha256, toBase64Url } from '../core/bytes.ts';

/**
 * The ephemeral certificate that a node presented on this connection: proven to hold its key by the TLS
 * handshake, and nothing more. It is self-signed; nobody vouches for any name in it.
 */
export interface ClientCertificate {
  /** SubjectPublicKeyInfo, DER: must equal the `ephemeralKey` of the claims. */
  spki: Uint8Array;
  /** Base64url SHA-256 of the certificate's DER: must equal the grant's `cnf` (RFC 8705 section 3.1). */
  thumbprint: string;
}

/** Undefined when the client presented none, or one that does not parse or has no key that we can read. */
export function clientCertificateOf(request: { raw: { socket: object } }): ClientCertificate | undefined {
  // Over HTTP/2 this is node's proxy of the session's socket: methods work on both.
  const socket = request.raw.socket as TLSSocket;
  const presented: Partial<PeerCertificate> | null = socket.getPeerCertificate?.() ?? null;
  const raw = presented?.raw;
  return raw === undefined ? undefined : parseClientCertificate(raw);
}

function parseClientCertificate(der: Uint8Array): ClientCertificate | undefined {
  try {
    const { publicKey } = new X509Certificate(der);
    return { spki: publicKey.export({ type: 'spki', format: 'der' }), thumbprint: toBase64Url(sha256(der)) };
  } catch {
    return undefined;
  }
}
