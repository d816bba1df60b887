import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { signEfi } from '../../signing/efi/sign-efi.ts';
import { type RepositoryLayout, secureBootFiles } from '../../signing/repository/layout.ts';
import { withPassphraseFile } from './passphrase.ts';

/**
 * An EFI image with a Secure Boot signature by the repository's db key. The same image, key and time give
 * the same bytes.
 */
export async function signImage(
  layout: RepositoryLayout,
  input: { image: Uint8Array; epochSeconds: number; passphrase: string },
): Promise<Uint8Array> {
  const { image, epochSeconds, passphrase } = input;
  const { key: keyFile, certificate: certificateFile } = secureBootFiles(layout, 'db');
  const folder = await mkdtemp(join(layout.artifacts, '.signing-'));
  try {
    const unsigned = join(folder, 'unsigned.efi');
    const output = join(folder, 'signed.efi');
    await writeFile(unsigned, image);
    await withPassphraseFile(passphrase, (passphraseFile) =>
      signEfi({ input: unsigned, output, keyFile, certificateFile, passphraseFile, epochSeconds }),
    );
    return await readFile(output);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
