import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  DEFAULT_SCRYPT_LOG_N,
  MAX_SCRYPT_LOG_N,
  MIN_SCRYPT_LOG_N,
} from '../../signing/keys/encrypted-key.ts';
import { createKeyFile } from '../../signing/keys/key-file.ts';
import { channelRole, STAGE0_ROLE } from '../../signing/names.ts';
import { keyIdOf, type TufKey } from '../../signing/public-key.ts';
import { FLOOR_KEY, keyFile, layoutOf, type RepositoryLayout } from '../../signing/repository/layout.ts';
import { saveChange } from '../../signing/repository/metadata-folder.ts';
import { RepositoryError } from '../../signing/repository/repository-error.ts';
import { type Expiry, expiryAt, saveSettings } from '../../signing/repository/settings.ts';
import { createKeyRoleSigner } from '../../signing/role-signer.ts';
import type { Signer } from '../../signing/signer.ts';
import { finishProposal, type RepositoryChange } from '../../signing/tuf/finish-proposal.ts';
import { authoritiesOf, signProposal } from '../../signing/tuf/proposal.ts';
import { proposeRepository } from '../../signing/tuf/propose.ts';
import { rootFile, TOP_LEVEL_ROLES } from '../../signing/tuf/root.ts';
import { type CommandContext, createKeyMakingCommand, type OutputOptions, printResult } from './command.ts';
import { type ExpiryOptions, settingsOf, withExpiry } from './expiry-options.ts';
import { loadGrantKeys } from './grant-keys.ts';
import type { KeyAccessOptions } from './key-access.ts';
import { toChannels, toPositiveInteger } from './options.ts';
import { readNewPassphrase } from './passphrase.ts';
import { createSecureBootKeys } from './secure-boot-keys.ts';
import { UsageError } from './usage-error.ts';

interface InitOptions extends OutputOptions, KeyAccessOptions, ExpiryOptions {
  readonly grantKey: string;
  readonly channel?: readonly string[];
  readonly keyCost: number;
}

export function createInitCommand(context: CommandContext): Command {
  return withExpiry(
    createKeyMakingCommand('init', 'make a repository folder with all its keys')
      .requiredOption('--grant-key <FILE>', "the boot server's public grant key, PEM or JSON")
      .option('--channel <NAME>', 'a channel; give it more than once for several', toChannels),
  )
    .option(
      '--key-cost <N>',
      'how hard passphrases are to guess: log2 of scrypt N',
      toPositiveInteger,
      DEFAULT_SCRYPT_LOG_N,
    )
    .action((folder: string, options: InitOptions) => init(context, folder, options));
}

async function init(context: CommandContext, folder: string, options: InitOptions): Promise<void> {
  requireSensible(options);
  const layout = layoutOf(folder);
  await requireAbsent(layout);
  const grantKeys = await loadGrantKeys(options.grantKey);
  const passphrase = await readNewPassphrase(options);
  await makeFolders(layout);
  const signers = await createKeys(layout, passphrase, options);
  await createFloorKey(layout, passphrase, options);
  await createSecureBootKeys(layout, passphrase);
  const settings = settingsOf(options);
  const nowMs = context.clock.nowMs();
  const change = await composeRepository(signers, { grantKeys, expiry: expiryAt(nowMs, settings), nowMs });
  await saveChange(layout, { change, nowMs });
  // Last: without this file the folder is no repository, whatever a crash before left in it.
  await saveSettings(layout, settings);
  await printResult(context, options, describe(layout, grantKeys, options));
}

/** The first folder made takes the rest with it: all of it is for its owner only. */
async function makeFolders({ secureBoot, metadata, artifacts }: RepositoryLayout): Promise<void> {
  for (const path of [secureBoot, metadata, artifacts]) await mkdir(path, { recursive: true, mode: 0o700 });
}

/** One key for each role, in a file of the role's name. */
async function createKeys(
  layout: RepositoryLayout,
  passphrase: string,
  { keyCost, channel = [] }: InitOptions,
): Promise<ReadonlyMap<string, Signer>> {
  const signers = new Map<string, Signer>();
  for (const role of [...TOP_LEVEL_ROLES, ...channel.map(channelRole), STAGE0_ROLE])
    signers.set(role, await createKeyFile({ path: keyFile(layout, role), passphrase, logN: keyCost }));
  return signers;
}

/** Its kind is what every TPM 2.0 verifies. */
async function createFloorKey(
  layout: RepositoryLayout,
  passphrase: string,
  { keyCost }: InitOptions,
): Promise<void> {
  const path = keyFile(layout, FLOOR_KEY);
  await createKeyFile({ path, passphrase, logN: keyCost, scheme: 'ecdsa-sha2-nistp256' });
}

async function composeRepository(
  signers: ReadonlyMap<string, Signer>,
  { grantKeys, expiry, nowMs }: { grantKeys: readonly TufKey[]; expiry: Expiry; nowMs: number },
): Promise<RepositoryChange> {
  const rings = [...signers].map(([role, { key }]) => [role, { keys: [key], threshold: 1 }] as const);
  const proposal = proposeRepository({ keyrings: new Map(rings), grantKeys }, expiry.offlineMs);
  const signer = createKeyRoleSigner([...signers.values()]);
  const signed = await signProposal(proposal, authoritiesOf(proposal, undefined), signer);
  const onlineExpiresMs = expiry.onlineMs;
  return finishProposal({ current: undefined, proposal: signed, signer, onlineExpiresMs, nowMs });
}

function describe(layout: RepositoryLayout, grantKeys: readonly TufKey[], { channel = [] }: InitOptions) {
  const { folder, secureBoot, metadata } = layout;
  const root = join(metadata, rootFile(1));
  const roles = [...TOP_LEVEL_ROLES, STAGE0_ROLE, ...channel.map(channelRole)];
  return {
    lines: [
      `${folder}: keys for ${roles.join(', ')}`,
      `floor key: ${keyFile(layout, FLOOR_KEY)} (back it up: without it nodes keep the floor that they have)`,
      `Secure Boot keys: ${secureBoot} (enrol PK, KEK and db)`,
      `trust starts from ${root}`,
    ],
    json: { folder, root, channels: [...channel], grantKeys: grantKeys.map(keyIdOf), secureBoot },
  };
}

function requireSensible({ keyCost, channel = [] }: InitOptions): void {
  if (keyCost < MIN_SCRYPT_LOG_N || keyCost > MAX_SCRYPT_LOG_N)
    throw new UsageError(`--key-cost is from ${MIN_SCRYPT_LOG_N} to ${MAX_SCRYPT_LOG_N}`);
  if (new Set(channel).size !== channel.length) throw new UsageError('a channel is given twice');
}

/** Keys are never written over: an `init` that was cut short is started again in a new folder. */
async function requireAbsent({ folder, keys, settings }: RepositoryLayout): Promise<void> {
  for (const path of [settings, keys])
    if ((await stat(path).catch(() => undefined)) !== undefined)
      throw new RepositoryError('repository-exists', `${path} is there already: ${folder} is not empty`);
}
