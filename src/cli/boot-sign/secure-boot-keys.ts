import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../../core/errors.ts';
import { createFile } from '../../signing/durable-file.ts';
import {
  type RepositoryLayout,
  type SecureBootKey,
  secureBootFiles,
} from '../../signing/repository/layout.ts';

export class SecureBootKeyError extends CodedError<'secure-boot-key-failed'> {}

export const SECURE_BOOT_KEYS: readonly SecureBootKey[] = ['PK', 'KEK', 'db'];

/** Firmware of the last ten years verifies RSA-2048 with SHA-256, and not all of it more. */
const RSA_BITS = 2048;
const CERTIFICATE_DAYS = 7300;
/** What OWASP asks of PBKDF2 with HMAC-SHA-256; the default of openssl is 2048. */
const PBKDF2_ITERATIONS = 600_000;

/**
 * PK, KEK and db of one's own: an encrypted private key and a self-signed certificate each. db signs
 * stage-0 and kernels; PK and KEK are for enrolling it, and for nothing later than that.
 */
export async function createSecureBootKeys(layout: RepositoryLayout, passphrase: string): Promise<void> {
  for (const name of SECURE_BOOT_KEYS) {
    const files = secureBootFiles(layout, name);
    const pem = await encryptedKey(passphrase);
    await createFile({ path: files.key, bytes: pem, mode: 0o600 });
    const certificate = await selfSigned(layout, { name, keyFile: files.key, passphrase });
    await createFile({ path: files.certificate, bytes: certificate, mode: 0o644 });
    const der = await openssl(['x509', '-outform', 'DER'], { input: certificate });
    await createFile({ path: files.certificateDer, bytes: der, mode: 0o644 });
  }
}

/** The key is never on disk, nor anywhere outside the two processes, without its passphrase. */
function encryptedKey(passphrase: string): Promise<Buffer> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: RSA_BITS });
  const encryption = ['-v2', 'aes-256-cbc', '-v2prf', 'hmacWithSHA256', '-iter', String(PBKDF2_ITERATIONS)];
  return openssl(['pkcs8', '-topk8', '-inform', 'DER', ...encryption, '-passout', 'fd:3'], {
    input: privateKey.export({ type: 'pkcs8', format: 'der' }),
    passphrase,
  });
}

async function selfSigned(
  layout: RepositoryLayout,
  input: { name: SecureBootKey; keyFile: string; passphrase: string },
): Promise<Buffer> {
  const folder = await mkdtemp(join(layout.secureBoot, '.certificate-'));
  try {
    const config = join(folder, 'openssl.cnf');
    const certificate = join(folder, 'certificate.pem');
    await writeFile(config, certificateConfig(input.name));
    const key = ['-key', input.keyFile, '-passin', 'fd:3'];
    const validity = ['-sha256', '-days', String(CERTIFICATE_DAYS)];
    await openssl(['req', '-x509', '-new', '-config', config, ...key, ...validity, '-out', certificate], {
      passphrase: input.passphrase,
    });
    return await readFile(certificate);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function certificateConfig(name: SecureBootKey): string {
  return `[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
CN = Bootward Secure Boot ${name}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
subjectKeyIdentifier = hash
`;
}

/** The passphrase goes through descriptor 3: arguments and environment can be read by others. */
function openssl(
  args: readonly string[],
  { input, passphrase }: { input?: Uint8Array; passphrase?: string },
): Promise<Buffer> {
  const child = spawn('openssl', args, {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  const output: Buffer[] = [];
  const complaints: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk));
  const [stdin, , , secret] = child.stdio;
  // A tool that fails early closes its ends; its exit status says so, not a broken pipe.
  for (const [stream, data] of [
    [stdin, input],
    [secret, passphrase && `${passphrase}\n`],
  ] as const) {
    stream?.on('error', () => undefined);
    if (stream !== null && stream !== undefined && 'end' in stream) stream.end(data ?? '');
  }
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(
        new SecureBootKeyError('secure-boot-key-failed', `openssl ${args[0]} failed: ${why}`, { cause }),
      );
    child.once('error', (cause) => fail('it cannot be started: is it installed?', cause));
    child.once('close', (status) =>
      status === 0 ? resolve(Buffer.concat(output)) : fail(Buffer.concat(complaints).toString().trim()),
    );
  });
}
