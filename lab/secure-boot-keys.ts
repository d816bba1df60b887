import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SecureBootCertificates } from './firmware-vars.ts';

export interface SecureBootKeys {
  /** For `composeFirmwareVars`. */
  certificates: SecureBootCertificates;
  /** For `signEfi`: the key whose certificate is in db. Unencrypted: these keys live as long as a test. */
  db: { keyFile: string; certificateFile: string };
}

const run = promisify(execFile);

/** Makes a platform key, a key exchange key and an image key, each self-signed, in `folder`. */
export async function createSecureBootKeys(folder: string): Promise<SecureBootKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [pk, kek, db] = await Promise.all(['PK', 'KEK', 'db'].map((name) => createKey(folder, name)));
  return {
    certificates: { pk: await der(pk), kek: await der(kek), db: await der(db) },
    db: { keyFile: join(folder, 'db.key'), certificateFile: join(folder, 'db.crt') },
  };
}

async function createKey(folder: string, name: string): Promise<string> {
  const certificateFile = join(folder, `${name}.crt`);
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-sha256', '-days', '3650'];
  const files = ['-keyout', join(folder, `${name}.key`), '-out', certificateFile];
  await run('openssl', [...request, '-subj', `/CN=lab ${name}`, ...files]);
  return certificateFile;
}

async function der(certificateFile: string | undefined): Promise<Uint8Array> {
  const pem = await readFile(certificateFile ?? '', 'latin1');
  return Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
}
