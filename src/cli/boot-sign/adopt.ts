import type { Command } from 'commander';
import { encodeAdoption } from '../../boot-signer/adoption-document.ts';
import { layoutOf } from '../../signing/repository/layout.ts';
import {
  loadMetadata,
  type StoredMetadata,
  trustedMetadata,
} from '../../signing/repository/metadata-folder.ts';
import { rootFile } from '../../signing/tuf/root.ts';
import { type TrustedMetadata, versionedFile } from '../../signing/tuf/verify-metadata.ts';
import { type CommandContext, printResult } from './command.ts';
import { createServiceCommand, type ServiceCommandOptions } from './service-command.ts';
import { addressOf } from './service-options.ts';
import { requestAdoption } from './signing-service-client.ts';

/** The way out when the service signed what never came into force, or others signed without it. */
export function createAdoptCommand(context: CommandContext): Command {
  return createServiceCommand('adopt', 'have a signing service go on from the metadata in force')
    .argument('[DIR]', 'the repository folder', '.')
    .action((folder: string, options: ServiceCommandOptions) => adopt(context, folder, options));
}

async function adopt(context: CommandContext, folder: string, options: ServiceCommandOptions): Promise<void> {
  const stored = await loadMetadata(layoutOf(folder));
  const trusted = trustedMetadata(stored);
  await requestAdoption(await addressOf(options), encodeAdoption(filesInForce(stored, trusted)));
  const versions = versionsOf(trusted);
  await printResult(context, options, {
    lines: ['the service goes on from', ...describeVersions(trusted)],
    json: { adopted: Object.fromEntries(versions) },
  });
}

/** What a request to adopt holds, for the people who are asked to approve it. */
export function describeVersions(trusted: TrustedMetadata): readonly string[] {
  return [...versionsOf(trusted)].map(([role, version]) => `  ${role} version ${version}`);
}

function versionsOf({ root, timestamp, snapshot, targets, delegated }: TrustedMetadata) {
  const all = [root, timestamp, snapshot, targets, ...delegated.map(({ metadata }) => metadata)];
  return new Map(all.map(({ role, version }) => [role, version]));
}

function filesInForce({ files }: StoredMetadata, trusted: TrustedMetadata): ReadonlyMap<string, Uint8Array> {
  const { rootChain, snapshot, targets, delegated } = trusted;
  const others = [snapshot, targets, ...delegated.map(({ metadata }) => metadata)];
  const names = [
    ...rootChain.map(({ version }) => rootFile(version)),
    'timestamp.json',
    ...others.map(({ role, version }) => versionedFile(role, version)),
  ];
  return new Map(names.map((name) => [name, files.get(name) ?? new Uint8Array()]));
}
