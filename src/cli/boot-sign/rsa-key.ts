import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { isEncryptedPem, openRsaPem, type RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';

export interface RsaKeyOptions extends PassphraseOptions {
  readonly key: string;
}

/** Which RSA key signs: the one place that every store of such keys is named in. */
export function withRsaKey(command: Command): Command {
  return command.requiredOption('--key <FILE>', 'the RSA private key (PEM, encrypted or not)');
}

/** Asks for a passphrase only when the key has one. */
export async function openRsaKey(options: RsaKeyOptions): Promise<RsaPkcs1Signer> {
  const pem = await readFile(options.key);
  return isEncryptedPem(pem) ? openRsaPem(pem, await readPassphrase(options)) : openRsaPem(pem);
}
