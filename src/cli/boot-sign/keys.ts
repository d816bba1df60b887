import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { loadKeyFile } from '../../signing/keys/key-file.ts';
import {
  keyFile,
  layoutOf,
  type RepositoryLayout,
  secureBootFiles,
} from '../../signing/repository/layout.ts';
import { loadSettings } from '../../signing/repository/settings.ts';
import { type CommandContext, createFolderCommand, type OutputOptions, printResult } from './command.ts';
import { SECURE_BOOT_KEYS } from './secure-boot-keys.ts';

export function createKeysCommand(context: CommandContext): Command {
  return createFolderCommand(
    'keys',
    'list the keys of a repository: public halves, no passphrase needed',
  ).action((folder: string, options: OutputOptions) => keys(context, folder, options));
}

async function keys(context: CommandContext, folder: string, options: OutputOptions): Promise<void> {
  const layout = layoutOf(folder);
  await loadSettings(layout);
  const metadataKeys = await listMetadataKeys(layout);
  const certificates = await listCertificates(layout);
  printResult(context, options, {
    lines: [
      ...metadataKeys.map(
        ({ role, keyId, public: key }) => `${role.padEnd(24)} key id ${keyId} ed25519 ${key}`,
      ),
      ...certificates.map(
        ({ name, sha256, notAfter }) => `${name.padEnd(24)} certificate SHA-256 ${sha256} until ${notAfter}`,
      ),
    ],
    json: { keys: metadataKeys, secureBoot: certificates },
  });
}

async function listMetadataKeys(layout: RepositoryLayout) {
  const files = (await readdir(layout.keys)).filter((name) => /^[a-z0-9-]+\.json$/.test(name)).sort();
  return Promise.all(
    files.map(async (name) => {
      const role = name.replace(/\.json$/, '');
      const { keyId, key } = await loadKeyFile(keyFile(layout, role));
      return { role, keyId, public: key.keyval.public };
    }),
  );
}

async function listCertificates(layout: RepositoryLayout) {
  return Promise.all(
    SECURE_BOOT_KEYS.map(async (name) => {
      const certificate = new X509Certificate(await readFile(secureBootFiles(layout, name).certificate));
      const sha256 = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
      return { name, sha256, notAfter: certificate.validToDate.toISOString() };
    }),
  );
}
