import { Problem } from '../problems.ts';

/** The ephemeral key of one boot, as its TLS connection proves it. */
export interface ClientKey {
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array;
  /** Base64url SHA-256 of the certificate (RFC 8705 section 3.1). */
  thumbprint: string;
}

export function requireClientKey(client: ClientKey | undefined): ClientKey {
  if (client === undefined)
    throw new Problem('client-certificate-missing', 'present the ephemeral client certificate of this boot');
  return client;
}
