import type { Command } from 'commander';
import { saveChange } from '../../signing/repository/metadata-folder.ts';
import { finishProposal } from '../../signing/tuf/finish-proposal.ts';
import { proposeRenewal } from '../../signing/tuf/propose.ts';
import { carryOut, printCarriedOut } from './carry-out.ts';
import { changeRepository, type KeysAtHand, type RepositoryWork } from './change-repository.ts';
import { type CommandContext, createSigningCommand, printResult, type SigningOptions } from './command.ts';
import { type OpenRepository, openRepository } from './open-repository.ts';

interface RefreshOptions extends SigningOptions {
  readonly all?: true;
}

export function createRefreshCommand(context: CommandContext): Command {
  return createSigningCommand('refresh', 'sign snapshot and timestamp again, before they expire')
    .option('--all', 'also root, targets, channels and stage0')
    .action((folder: string, options: RefreshOptions) =>
      changeRepository(folder, options, (work) => refresh(context, work)),
    );
}

async function refresh(
  context: CommandContext,
  { folder, options, keys }: RepositoryWork<RefreshOptions>,
): Promise<void> {
  const nowMs = context.clock.nowMs();
  const repository = await openRepository(folder, { ...context, nowMs });
  if (options.all) await renew(context, { repository, keys, options, nowMs });
  else await refreshOnline(context, { repository, keys, options, nowMs });
}

interface Refresh {
  readonly repository: OpenRepository;
  readonly keys: KeysAtHand;
  readonly options: RefreshOptions;
  readonly nowMs: number;
}

async function refreshOnline(context: CommandContext, given: Refresh): Promise<void> {
  const { repository, keys, options, nowMs } = given;
  const { layout, stored, current, expiry } = repository;
  const onlineExpiresMs = expiry.onlineMs;
  const change = await finishProposal({ current, ...keys, onlineExpiresMs, nowMs });
  await saveChange(layout, { stored, change, nowMs });
  const written = change.map(({ name }) => name);
  await printResult(context, options, describe(written, expiry.onlineMs));
}

async function renew(context: CommandContext, given: Refresh): Promise<void> {
  const { repository, keys, options, nowMs } = given;
  const { current, expiry } = repository;
  const proposal = proposeRenewal(current, expiry.offlineMs);
  const carriedOut = await carryOut(repository, { proposal, keys, nowMs });
  const written = proposal.drafts.map(({ role, version }) => `${version}.${role}.json`);
  const result = describe(written, Math.min(expiry.offlineMs, expiry.onlineMs));
  await printCarriedOut(context, options, { result, carriedOut });
}

function describe(written: readonly string[], expiresMs: number) {
  const expires = new Date(expiresMs).toISOString();
  return {
    lines: [`signed ${written.join(', ')}`, `refresh again before ${expires}`],
    json: { written: [...written], expires },
  };
}
