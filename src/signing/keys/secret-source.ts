import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../../core/errors.ts';

/** Where a PIN or a passphrase comes from. There is no way by argument or environment: others can read those. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  /** An open descriptor, which can be read once. */
  | { readonly kind: 'descriptor'; readonly fd: number }
  /** systemd's LoadCredential=, LoadCredentialEncrypted=. */
  | { readonly kind: 'credential'; readonly name: string };

export class SecretError extends CodedError<'secret-missing' | 'secret-exposed' | 'secret-invalid'> {}

const MAX_BYTES = 4096;
/** Group readable is how systemd's credentials look: their access list names the service's user. */
const FORBIDDEN_MODE = 0o037;
const CREDENTIAL_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;

/**
 * The first line. Errors say where, never what.
 *
 * @param environment for $CREDENTIALS_DIRECTORY, which is a path and no secret
 * @throws {SecretError}
 */
export async function readSecret(
  source: SecretSource,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  if (source.kind === 'descriptor') return firstLine(readDescriptor(source.fd), `descriptor ${source.fd}`);
  const path = source.kind === 'file' ? source.path : credentialPath(source.name, environment);
  return firstLine(await readPrivateFile(path), path);
}

function credentialPath(name: string, { CREDENTIALS_DIRECTORY: folder }: NodeJS.ProcessEnv): string {
  if (!CREDENTIAL_NAME.test(name)) throw new SecretError('secret-invalid', 'this is no name of a credential');
  if (folder !== undefined && folder !== '') return join(folder, name);
  throw new SecretError(
    'secret-missing',
    `there is no credential ${name}: the unit needs LoadCredential=${name}:PATH`,
  );
}

function readDescriptor(fd: number): Uint8Array {
  try {
    return readFileSync(fd);
  } catch (cause) {
    throw new SecretError('secret-missing', `descriptor ${fd} cannot be read: is it open?`, { cause });
  }
}

/** Permissions are read from the open file, not from a name that may change in between. */
async function readPrivateFile(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r').catch((cause) => {
    throw new SecretError('secret-missing', `${path} cannot be read`, { cause });
  });
  try {
    const { mode } = await file.stat();
    if ((mode & FORBIDDEN_MODE) !== 0)
      throw new SecretError(
        'secret-exposed',
        `${path} is open to others: chmod 600, and change what it holds`,
      );
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function firstLine(bytes: Uint8Array, where: string): string {
  const line = new TextDecoder().decode(bytes).split(/\r?\n/, 1)[0] ?? '';
  if (line !== '' && bytes.length <= MAX_BYTES) return line;
  throw new SecretError(
    'secret-invalid',
    `the first line of ${where} is empty, or it is longer than ${MAX_BYTES} bytes`,
  );
}
