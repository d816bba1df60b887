import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata } from '../../signing/repository/metadata-folder.ts';
import { expiryWarnings } from '../../signing/tuf/expiry.ts';
import { type CommandContext, createFolderCommand, type OutputOptions, printResult } from './command.ts';
import { type VerifiedFolder, verifyFolder } from './verify-folder.ts';

interface VerifyOptions extends OutputOptions {
  readonly root?: string;
}

export function createVerifyCommand(context: CommandContext): Command {
  return createFolderCommand('verify', 'check every signature, version, expiry and artifact of a repository')
    .option('--root <FILE>', 'root metadata that you trust; 1.root.json of the folder unless told')
    .action((folder: string, options: VerifyOptions) => verify(context, folder, options));
}

async function verify(context: CommandContext, folder: string, options: VerifyOptions): Promise<void> {
  const layout = layoutOf(folder);
  const stored = await loadMetadata(layout);
  const verified = await verifyFolder({
    layout,
    stored,
    nowMs: context.clock.nowMs(),
    ...(options.root !== undefined && { trustedRoot: await readFile(options.root) }),
  });
  await printResult(context, options, describe(verified, context.clock.nowMs()));
}

function describe({ repository, artifacts, firstProposalSha256 }: VerifiedFolder, nowMs: number) {
  const warnings = expiryWarnings(repository, nowMs);
  const roles = [...repository.roles].map(([role, { version, expiresMs }]) => ({
    role,
    version,
    expires: new Date(expiresMs).toISOString(),
  }));
  const releases = [...repository.channels.values()].flat();
  const builds = repository.stage0Builds;
  return {
    lines: [
      ...roles.map(({ role, version, expires }) => `${role.padEnd(24)} version ${version}, until ${expires}`),
      ...releases.map(({ target, name }) => `${target} "${name}"`),
      ...builds.map(({ target }) => target),
      ...warnings.map((warning) => `warning: ${warning}`),
      ...(firstProposalSha256 === undefined
        ? []
        : [`SHA-256 of all that was signed when it was made: ${firstProposalSha256}`]),
      `good: ${roles.length} roles, ${artifacts.size} artifacts`,
    ],
    json: {
      roles,
      releases: releases.map((listing) => ({ ...listing })),
      stage0Builds: builds.map((listing) => ({ ...listing })),
      artifacts: artifacts.size,
      ...(firstProposalSha256 !== undefined && { firstProposalSha256 }),
      warnings: [...warnings],
      expires: new Date(repository.expiresMs).toISOString(),
    },
  };
}
