import { mkdir, readdir, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { layoutOf, pendingFile, type RepositoryLayout } from '../../signing/repository/layout.ts';
import { savePending } from '../../signing/repository/pending-folder.ts';
import { RepositoryError } from '../../signing/repository/repository-error.ts';
import { withRepositoryLock } from '../../signing/repository/repository-lock.ts';
import { expiryAt, type RepositorySettings, saveSettings } from '../../signing/repository/settings.ts';
import { describeProposal } from '../../signing/tuf/describe-proposal.ts';
import { authoritiesOf, missingIn, type Proposal } from '../../signing/tuf/proposal.ts';
import { proposeRepository } from '../../signing/tuf/propose.ts';
import { signedTogetherSha256 } from '../../signing/tuf/signed-together.ts';
import { printCarriedOut } from './carry-out.ts';
import { type CommandContext, createFolderCommand, type OutputOptions, printResult } from './command.ts';
import { type ExpiryOptions, settingsOf, withExpiry } from './expiry-options.ts';
import { loadGrantKeys } from './grant-keys.ts';
import { loadKeyrings, type RoleKeyFile, type Thresholds, toRoleKeys, toThresholds } from './role-keys.ts';

interface RootInitOptions extends OutputOptions, ExpiryOptions {
  readonly grantKey: string;
  readonly key: readonly RoleKeyFile[];
  readonly threshold?: Thresholds;
  readonly dryRun?: true;
}

/** For people who are not in one place: no private key is needed, made or looked for. */
export function createRootInitCommand(context: CommandContext): Command {
  const what = 'propose a new repository from public keys alone; it is there when people have signed it';
  return withExpiry(
    createFolderCommand('init', what)
      .requiredOption('--grant-key <FILE>', "the boot server's public grant key, PEM or JSON")
      .requiredOption(
        '--key <ROLE=FILE>',
        'a public key that may sign for root, targets, snapshot, timestamp, stage0 or channel-<name>; each has one at least',
        toRoleKeys,
      )
      .option(
        '--threshold <ROLE=N>',
        'how many keys of the role must sign; must be said where there are several',
        toThresholds,
      ),
  )
    .option('--dry-run', 'say what would be proposed; write nothing')
    .action((folder: string, options: RootInitOptions) => rootInit(context, folder, options));
}

async function rootInit(context: CommandContext, folder: string, options: RootInitOptions): Promise<void> {
  const layout = layoutOf(folder);
  const settings = settingsOf(options);
  const keyrings = await loadKeyrings(options.key, options.threshold ?? new Map());
  const trust = { keyrings, grantKeys: await loadGrantKeys(options.grantKey) };
  const proposal = proposeRepository(trust, expiryAt(context.clock.nowMs(), settings).offlineMs);
  const changes = [...describeProposal(proposal, undefined)];
  if (options.dryRun) {
    await printResult(context, options, { lines: ['would propose:', ...changes], json: { changes } });
    return;
  }
  const file = await saveFirst(layout, { proposal, settings });
  const proposalSha256 = signedTogetherSha256(proposal.drafts);
  const missing = missingIn(proposal, authoritiesOf(proposal, undefined));
  const result = { lines: ['proposed:', ...changes], json: { changes } };
  await printCarriedOut(context, options, {
    result,
    carriedOut: { inForce: false, file, proposalSha256, missing, waiting: [] },
  });
}

/** A crash before the proposal is there leaves a folder that this command takes again. */
async function saveFirst(
  layout: RepositoryLayout,
  { proposal, settings }: { proposal: Proposal; settings: RepositorySettings },
): Promise<string> {
  for (const path of [layout.metadata, layout.artifacts]) await mkdir(path, { recursive: true, mode: 0o700 });
  return withRepositoryLock(layout, async () => {
    await requireNothingThere(layout, proposal.name);
    await saveSettings(layout, settings, 'replace');
    return savePending(layout, proposal, 'refuse');
  });
}

async function requireNothingThere(layout: RepositoryLayout, name: string): Promise<void> {
  const { folder, metadata, journal } = layout;
  if ((await readdir(metadata)).length > 0 || (await isThere(journal)))
    refuse(`${folder} is a repository already: "boot-sign root add-key" and its like change who may sign`);
  const pending = pendingFile(layout, name);
  if (await isThere(pending))
    refuse(`${pending} waits for signatures already: have it signed, or "boot-sign pending drop" it`);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function refuse(message: string): never {
  throw new RepositoryError('repository-exists', message);
}
