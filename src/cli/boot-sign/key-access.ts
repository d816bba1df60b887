import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseKeyReference } from '../../signing/keys/key-reference.ts';
import { KeyOpener } from '../../signing/keys/open-key.ts';
import { isEncryptedPem, openRsaPem, type RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { readSecret } from '../../signing/keys/secret-source.ts';
import type { Signer } from '../../signing/signer.ts';
import { toDescriptor } from './options.ts';
import { ask, type PassphraseOptions, readPassphrase } from './passphrase.ts';
import { UsageError } from './usage-error.ts';

/** How private keys are opened: the passphrase of files, the PIN of tokens. */
export interface KeyAccessOptions extends PassphraseOptions {
  readonly pinFile?: string;
  readonly pinFd?: number;
}

/** What a key may be called on a command line. */
export const KEY_HELP = 'a key file, pkcs11:token=NAME;object=NAME?module-path=FILE, or hook:PROGRAM';

const REFERENCE = /^(?:file|pkcs11|hook):/;
const ELSEWHERE = /^(?:pkcs11|hook):/;

export function withKeyAccess(command: Command): Command {
  return command
    .option('--passphrase-file <FILE>', 'read the passphrase from the first line of this file')
    .option('--passphrase-fd <N>', 'read it from this open descriptor instead', toDescriptor)
    .option('--pin-file <FILE>', "read a token's PIN from the first line of this file")
    .option('--pin-fd <N>', 'read it from this open descriptor instead', toDescriptor);
}

/** Opens what a key is called on a command line. */
export interface OpenKeys {
  open(key: string): Promise<Signer>;
  /** For Authenticode and boot.sig: a PEM file, encrypted or not, in place of a key file of ours. */
  openRsa(key: string): Promise<RsaPkcs1Signer>;
  readPassphrase(): Promise<string>;
}

/** Lends what opens keys; tokens are logged out of when the work is done. */
export async function withKeyOpener<T>(
  options: KeyAccessOptions,
  work: (keys: OpenKeys) => Promise<T>,
): Promise<T> {
  const passphrase = once(() => readPassphrase(options));
  const pin = once(() => readPin(options));
  const opener = new KeyOpener({ secrets: { passphraseOf: passphrase, pinOf: pin } });
  const open = (key: string) => opener.open(parseKeyReference(REFERENCE.test(key) ? key : `file:${key}`));
  const openRsa = (key: string) =>
    ELSEWHERE.test(key) ? opener.openRsaPkcs1(key) : openPem(key.replace(/^file:/, ''), passphrase);
  try {
    return await work({ open, openRsa, readPassphrase: passphrase });
  } finally {
    await opener.close();
  }
}

/** Asks for a passphrase only when the key has one. */
async function openPem(path: string, readPassphrase: () => Promise<string>): Promise<RsaPkcs1Signer> {
  const pem = await readFile(path);
  return isEncryptedPem(pem) ? openRsaPem(pem, await readPassphrase()) : openRsaPem(pem);
}

async function readPin({ pinFile, pinFd }: KeyAccessOptions): Promise<string> {
  if (pinFile !== undefined && pinFd !== undefined)
    throw new UsageError('give --pin-file or --pin-fd, not both');
  if (pinFile !== undefined) return readSecret({ kind: 'file', path: pinFile });
  if (pinFd !== undefined) return readSecret({ kind: 'descriptor', fd: pinFd });
  return ask('PIN: ', '--pin-file or --pin-fd');
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
