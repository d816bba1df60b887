import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { signEfi } from '../../signing/efi/sign-efi.ts';
import type { RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { type RepositoryLayout, secureBootFiles } from '../../signing/repository/layout.ts';

/**
 * An EFI image with a Secure Boot signature by the repository's db key. The same image, key and time give the
 * same bytes.
 */
export async function signImage(
  layout: RepositoryLayout,
  input: { image: Uint8Array; epochSeconds: number; signer: RsaPkcs1Signer },
): Promise<Uint8Array> {
  const { certificate } = secureBootFiles(layout, 'db');
  return signEfi({ ...input, certificate: new X509Certificate(await readFile(certificate)) });
}
