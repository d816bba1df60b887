import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { signEfi } from '../../signing/efi/sign-efi.ts';
import { openRsaPem } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { type RepositoryLayout, secureBootFiles } from '../../signing/repository/layout.ts';

/**
 * An EFI image with a Secure Boot signature by the repository's db key, which is open in this process for
 * as long as that takes. The same image, key and time give the same bytes.
 */
export async function signImage(
  layout: RepositoryLayout,
  input: { image: Uint8Array; epochSeconds: number; passphrase: string },
): Promise<Uint8Array> {
  const { image, epochSeconds, passphrase } = input;
  const files = secureBootFiles(layout, 'db');
  const signer = openRsaPem(await readFile(files.key), passphrase);
  const certificate = new X509Certificate(await readFile(files.certificate));
  return signEfi({ image, signer, certificate, epochSeconds });
}
