import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { openKeyFile } from '../../signing/keys/key-file.ts';
import type { Signer } from '../../signing/signer.ts';
import type { KeyConfig } from '../config.ts';
import { SignerStateError } from '../errors.ts';
import type { OpenKey } from './desk.ts';

/** Each is opened once, with its secret tried once. @throws {KeyError | SignerStateError} */
export async function openKeys(
  configs: readonly KeyConfig[],
  environment: NodeJS.ProcessEnv,
): Promise<readonly OpenKey[]> {
  const keys: OpenKey[] = [];
  const secrets = new Map<string, string>();
  for (const config of configs) {
    const signer = await openKey(config.reference, secretOf(config, environment, secrets));
    if (keys.some((key) => key.signer.keyId === signer.keyId))
      throw new SignerStateError(
        'config-invalid',
        `key ${config.name} is another key of this configuration too`,
      );
    keys.push({ ...config, signer });
  }
  return keys;
}

async function openKey(reference: string, secret: string | undefined): Promise<Signer> {
  if (!reference.startsWith('file:'))
    throw new SignerStateError(
      'config-invalid',
      `${reference.split(':')[0]}: is no kind of key that is known here`,
    );
  return openKeyFile(reference.slice('file:'.length), secret ?? '');
}

/** A descriptor can be read once, however many keys name it. */
function secretOf(
  { name, secret }: KeyConfig,
  environment: NodeJS.ProcessEnv,
  read: Map<string, string>,
): string | undefined {
  if (secret === undefined) return undefined;
  const before = read.get(secret);
  if (before !== undefined) return before;
  try {
    const text = readFileSync(secretSource(secret, environment), 'utf8').split('\n', 1)[0] ?? '';
    read.set(secret, text);
    return text;
  } catch (cause) {
    throw new SignerStateError(
      'secret-missing',
      `the secret of key ${name} is not at ${secret}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** systemd puts credentials into a folder of memory that only the service sees: systemd.exec(5). */
export function secretSource(secret: string, environment: NodeJS.ProcessEnv): string | number {
  if (secret.startsWith('fd:')) return Number(secret.slice('fd:'.length));
  if (secret.startsWith('file:')) return secret.slice('file:'.length);
  return join(
    environment.CREDENTIALS_DIRECTORY ?? '/run/credentials/boot-signer.service',
    secret.slice('credential:'.length),
  );
}
