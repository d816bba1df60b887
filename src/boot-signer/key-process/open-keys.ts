import type { KeyReference, Pkcs11Reference } from '../../signing/keys/key-reference.ts';
import { KeyOpener } from '../../signing/keys/open-key.ts';
import { readSecret } from '../../signing/keys/secret-source.ts';
import type { KeyConfig } from '../config.ts';
import { SignerStateError } from '../errors.ts';
import type { OpenKey } from './desk.ts';

/** Opens all keys, each secret tried once. @throws {CodedError} as KeyOpener.open does */
export async function openKeys(
  configs: readonly KeyConfig[],
  environment: NodeJS.ProcessEnv,
): Promise<readonly OpenKey[]> {
  const read = secretReader(environment);
  const opener = new KeyOpener({
    secrets: {
      passphraseOf: (path) =>
        read(
          configs.find(({ reference }) => isFile(reference, path)),
          path,
        ),
      pinOf: (token) =>
        read(
          configs.find(({ reference }) => isOnToken(reference, token)),
          token.label,
        ),
    },
  });
  const keys: OpenKey[] = [];
  for (const config of configs) {
    const signer = await opener.open(config.reference);
    if (keys.some((key) => key.signer.keyId === signer.keyId))
      throw new SignerStateError('config-invalid', `key ${config.name} is there under another name too`);
    keys.push({ ...config, signer });
  }
  return keys;
}

/** A descriptor can be read once: what came from it stays in memory, for a token that has to be opened anew. */
function secretReader(environment: NodeJS.ProcessEnv) {
  const fromDescriptors = new Map<number, string>();
  return async (config: KeyConfig | undefined, what: string): Promise<string> => {
    const secret = config?.secret;
    if (secret === undefined)
      throw new SignerStateError('config-invalid', `${what} wants a "secret", and its key has none`);
    const before = secret.kind === 'descriptor' ? fromDescriptors.get(secret.fd) : undefined;
    const text = before ?? (await readSecret(secret, environment));
    if (secret.kind === 'descriptor') fromDescriptors.set(secret.fd, text);
    return text;
  };
}

function isFile(reference: KeyReference, path: string): boolean {
  return reference.kind === 'file' && reference.path === path;
}

function isOnToken(reference: KeyReference, { label, serial }: { label: string; serial: string }): boolean {
  if (reference.kind !== 'pkcs11') return false;
  const { token }: Pkcs11Reference = reference;
  return (token.serial ?? serial) === serial && (token.label ?? label) === label;
}
