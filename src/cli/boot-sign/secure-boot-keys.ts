import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import type { Writable } from 'node:stream';
import { asciiBytes } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { CodedError } from '../../core/errors.ts';
import {
  type RepositoryLayout,
  type SecureBootKey,
  secureBootFiles,
} from '../../signing/repository/layout.ts';
import { createSecureBootPair } from './secure-boot-certificate.ts';

export class SecureBootKeyError extends CodedError<'secure-boot-key-failed'> {}

export const SECURE_BOOT_KEYS: readonly SecureBootKey[] = ['PK', 'KEK', 'db'];

/** What OWASP asks of PBKDF2 with HMAC-SHA-256; Node and openssl take 2048 unless told. */
const PBKDF2_ITERATIONS = 600_000;
const ENCRYPTION = ['-v2', 'aes-256-cbc', '-v2prf', 'hmacWithSHA256', '-iter', String(PBKDF2_ITERATIONS)];

/**
 * PK, KEK and db of one's own: an encrypted private key and a self-signed certificate each. db signs
 * stage-0 and kernels; PK and KEK are for enrolling it, and for nothing later than that.
 */
export async function createSecureBootKeys(layout: RepositoryLayout, passphrase: string): Promise<void> {
  for (const name of SECURE_BOOT_KEYS) {
    const files = secureBootFiles(layout, name);
    const pair = await createSecureBootPair(`Bootward Secure Boot ${name}`);
    const pem = asciiBytes(new X509Certificate(pair.certificate).toString());
    await writeFileDurably({
      path: files.key,
      contents: await encrypt(pair.privateKey, passphrase),
      mode: 0o600,
      replace: false,
    });
    await writeFileDurably({ path: files.certificate, contents: pem, mode: 0o644, replace: false });
    await writeFileDurably({
      path: files.certificateDer,
      contents: pair.certificate,
      mode: 0o644,
      replace: false,
    });
  }
}

/**
 * PKCS#8 under the passphrase, PEM. The key is never on disk without it, and the passphrase goes through
 * descriptor 3: arguments and environment can be read by others.
 */
function encrypt(privateKey: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const child = spawn('openssl', ['pkcs8', '-topk8', '-inform', 'DER', ...ENCRYPTION, '-passout', 'fd:3'], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  const [stdin, stdout, stderr, secret] = child.stdio;
  const output: Buffer[] = [];
  const complaints: Buffer[] = [];
  stdout.on('data', (chunk: Buffer) => output.push(chunk));
  stderr.on('data', (chunk: Buffer) => complaints.push(chunk));
  // A tool that fails early closes its ends; its exit status says so, not a broken pipe.
  stdin.on('error', () => undefined).end(privateKey);
  (secret as Writable).on('error', () => undefined).end(`${passphrase}\n`);
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(failure('it cannot be started: is it installed?', cause)));
    child.once('close', (status) => {
      if (status === 0) resolve(Buffer.concat(output));
      else reject(failure(Buffer.concat(complaints).toString().trim()));
    });
  });
}

function failure(why: string, cause?: unknown): SecureBootKeyError {
  return new SecureBootKeyError('secure-boot-key-failed', `openssl pkcs8 failed: ${why}`, { cause });
}
