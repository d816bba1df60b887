import { constants, type KeyObject, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fromHex } from '../../core/bytes.ts';
import type { KeyReference, Pkcs11Reference } from '../../signing/keys/key-reference.ts';
import { KeyOpener } from '../../signing/keys/open-key.ts';
import { requireRsaPkcs1Key, rsaPkcs1KeyIdOf } from '../../signing/keys/rsa-pkcs1-key.ts';
import { isEncryptedPem, openRsaPem, type RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { readSecret } from '../../signing/keys/secret-source.ts';
import { publicKeyOf, verifySignature } from '../../signing/public-key.ts';
import type { Signer } from '../../signing/signer.ts';
import { type Config, imageKeysOf, type KeyConfig } from '../config.ts';
import { SignerStateError } from '../errors.ts';
import type { OpenKey, ServiceSigner } from './desk.ts';

/** Opens all keys, each secret tried once. @throws {CodedError} as KeyOpener.open does */
export async function openKeys(config: Config, environment: NodeJS.ProcessEnv): Promise<readonly OpenKey[]> {
  const { keys: configs } = config;
  const imageKeys = imageKeysOf(config);
  const read = secretReader(environment);
  const passphraseOf = (path: string) =>
    read(
      configs.find(({ reference }) => isFile(reference, path)),
      path,
    );
  const opener = new KeyOpener({
    secrets: {
      passphraseOf,
      pinOf: (token) =>
        read(
          configs.find(({ reference }) => isOnToken(reference, token)),
          token.label,
        ),
    },
  });
  const keys: OpenKey[] = [];
  for (const key of configs) {
    const signer = imageKeys.has(key.name)
      ? imageSignerOf(
          (await openPem(key.reference, passphraseOf)) ?? (await opener.openRsaPkcs1(key.reference)),
        )
      : metadataSignerOf(await opener.open(key.reference));
    if (keys.some((other) => other.signer.publicDer === signer.publicDer))
      throw new SignerStateError('config-invalid', `key ${key.name} is there under another name too`);
    keys.push({ ...key, signer });
  }
  return keys;
}

/** RSA-2048, which the Pi wants, is in no key file of ours: a PEM file instead, under a passphrase as well. */
async function openPem(
  reference: KeyReference,
  passphraseOf: (path: string) => Promise<string>,
): Promise<RsaPkcs1Signer | undefined> {
  if (reference.kind !== 'file') return undefined;
  const { path } = reference;
  const pem = await readFile(path);
  if (!pem.toString('latin1').startsWith('-----BEGIN ')) return undefined;
  if (!isEncryptedPem(pem))
    throw new SignerStateError('config-invalid', `${path} is not encrypted: openssl pkcs8 -topk8 does that`);
  const signer = openRsaPem(pem, await passphraseOf(path));
  requireRsaPkcs1Key(signer.publicKey);
  return signer;
}

function metadataSignerOf(signer: Signer): ServiceSigner {
  const { keyId, key } = signer;
  return {
    keyId,
    publicKey: { ...key, keyval: { ...key.keyval } },
    publicDer: derOf(publicKeyOf(key)),
    sign: (message) => signer.sign(message),
    isSignature: (message, signature) => verifySignature(key, message, signature),
  };
}

function imageSignerOf({ publicKey, sign }: RsaPkcs1Signer): ServiceSigner {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const key = { key: publicKey, padding: constants.RSA_PKCS1_PADDING };
  return {
    keyId: rsaPkcs1KeyIdOf(publicKey),
    publicKey: { keytype: 'rsa', scheme: 'rsassa-pkcs1v15-sha256', keyval: { public: pem } },
    publicDer: derOf(publicKey),
    sign,
    isSignature: (message, signature) => verify('sha256', message, key, fromHex(signature)),
  };
}

function derOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('hex');
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
