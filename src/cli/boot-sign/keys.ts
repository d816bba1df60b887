import { X509Certificate } from 'node:crypto';
import { type Command, Option } from 'commander';
import { writeFileDurably } from '../../core/durable-file.ts';
import { readIfThere } from '../../core/errno.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { DEFAULT_SCRYPT_LOG_N } from '../../signing/keys/encrypted-key.ts';
import { createKeyFile, loadKeyFile } from '../../signing/keys/key-file.ts';
import { SCHEMES, type Scheme } from '../../signing/public-key.ts';
import { listKeyFiles } from '../../signing/repository/key-folder.ts';
import {
  keyFile,
  layoutOf,
  type RepositoryLayout,
  secureBootFiles,
} from '../../signing/repository/layout.ts';
import { loadSettings } from '../../signing/repository/settings.ts';
import {
  type CommandContext,
  createFileSigningCommand,
  createFolderCommand,
  type OutputOptions,
  printResult,
  type SigningOptions,
} from './command.ts';
import { KEY_HELP, type KeyAccessOptions, withKeyOpener } from './key-access.ts';
import { toPositiveInteger } from './options.ts';
import { readNewPassphrase } from './passphrase.ts';
import { SECURE_BOOT_KEYS } from './secure-boot-keys.ts';
import { UsageError } from './usage-error.ts';

export function createKeysCommand(context: CommandContext): Command {
  return createFolderCommand(
    'keys',
    'list the keys of a repository: public halves, no passphrase needed',
  ).action((folder: string, options: OutputOptions) => keys(context, folder, options));
}

interface NewKeyOptions extends SigningOptions {
  readonly scheme: Scheme;
  readonly keyCost: number;
}

/** A key of one's own: for a person who signs elsewhere, or one more for the folder. */
export function createNewKeyCommand(context: CommandContext): Command {
  return createFileSigningCommand(
    'new-key',
    'make a private key file, and its public half beside it',
    'the private key: NAME.json; the public half is NAME.pub.json',
  )
    .addOption(new Option('--scheme <NAME>', 'what it signs with').choices(SCHEMES).default('ed25519'))
    .option(
      '--key-cost <N>',
      'how hard its passphrase is to guess: log2 of scrypt N',
      toPositiveInteger,
      DEFAULT_SCRYPT_LOG_N,
    )
    .action((file: string, options: NewKeyOptions) => newKey(context, file, options));
}

/** What others need of a key that is elsewhere, such as in a token. */
export function createPublicKeyCommand(context: CommandContext): Command {
  return createFileSigningCommand(
    'public-key',
    'print the public half of a private key, for `root add-key`',
    KEY_HELP,
  ).action((key: string, options: OutputOptions & KeyAccessOptions) => publicKey(context, key, options));
}

async function publicKey(
  context: CommandContext,
  key: string,
  options: OutputOptions & KeyAccessOptions,
): Promise<void> {
  const signer = await withKeyOpener(options, ({ open }) => open(key));
  const json: JsonObject = { ...signer.key, keyval: { ...signer.key.keyval } };
  await printResult(context, options, { lines: JSON.stringify(json, null, 2).split('\n'), json });
}

async function newKey(context: CommandContext, file: string, options: NewKeyOptions): Promise<void> {
  if (!file.endsWith('.json')) throw new UsageError('the name of a key file ends in .json');
  const passphrase = await readNewPassphrase(options);
  const { scheme, keyCost } = options;
  const { key, keyId } = await createKeyFile({ path: file, passphrase, scheme, logN: keyCost });
  const publicFile = file.replace(/\.json$/, '.pub.json');
  const contents = `${JSON.stringify(key, null, 2)}\n`;
  await writeFileDurably({ path: publicFile, contents, mode: 0o644, replace: true });
  await printResult(context, options, {
    lines: [`${file}: ${scheme}, key id ${keyId}`, `${publicFile}: its public half`],
    json: { keyId, scheme, file, publicFile },
  });
}

async function keys(context: CommandContext, folder: string, options: OutputOptions): Promise<void> {
  const layout = layoutOf(folder);
  await loadSettings(layout);
  const metadataKeys = await listMetadataKeys(layout);
  const certificates = await listCertificates(layout);
  await printResult(context, options, {
    lines: [
      ...metadataKeys.map(({ role, keyId, scheme, public: key }) =>
        `${role.padEnd(24)} key id ${keyId} ${scheme} ${key.includes('\n') ? '' : key}`.trimEnd(),
      ),
      ...certificates.map(
        ({ name, sha256, notAfter }) => `${name.padEnd(24)} certificate SHA-256 ${sha256} until ${notAfter}`,
      ),
    ],
    json: { keys: metadataKeys, secureBoot: certificates },
  });
}

async function listMetadataKeys(layout: RepositoryLayout) {
  return Promise.all(
    (await listKeyFiles(layout)).map(async ({ name: role, keyId }) => {
      const { key } = await loadKeyFile(keyFile(layout, role));
      return { role, keyId, scheme: key.scheme, public: key.keyval.public };
    }),
  );
}

/** Keys may all be elsewhere, and their certificates with them. */
async function listCertificates(layout: RepositoryLayout) {
  const listed = [];
  for (const name of SECURE_BOOT_KEYS) {
    const pem = await readIfThere(secureBootFiles(layout, name).certificate);
    if (pem === undefined) continue;
    const certificate = new X509Certificate(pem);
    const sha256 = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
    listed.push({ name, sha256, notAfter: certificate.validToDate.toISOString() });
  }
  return listed;
}
