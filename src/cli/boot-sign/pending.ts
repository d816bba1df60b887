import { Command } from 'commander';
import { layoutOf } from '../../signing/repository/layout.ts';
import {
  listPending,
  loadPending,
  loadProposal,
  removePending,
  savePending,
} from '../../signing/repository/pending-folder.ts';
import { withRepositoryLock } from '../../signing/repository/repository-lock.ts';
import { describeProposal } from '../../signing/tuf/describe-proposal.ts';
import { describeMissing, describeOutdated } from '../../signing/tuf/finish-proposal.ts';
import {
  authoritiesOf,
  describeDropped,
  dropBadSignatures,
  mergeProposals,
  missingIn,
} from '../../signing/tuf/proposal.ts';
import { describeSignedTogether, signedTogetherSha256 } from '../../signing/tuf/signed-together.ts';
import { carryOut, printCarriedOut } from './carry-out.ts';
import { changeRepository, type RepositoryWork } from './change-repository.ts';
import {
  type CommandContext,
  createFolderCommand,
  createSigningCommand,
  type OutputOptions,
  printResult,
  type SigningOptions,
  showBeforeSigning,
} from './command.ts';
import { type OpenFolder, openFolder } from './open-repository.ts';
import { toFiles } from './options.ts';

interface MergeOptions extends SigningOptions {
  readonly from?: readonly string[];
  readonly name: string;
}

/** What waits for signatures: show it, take signatures in, give it up. */
export function createPendingCommand(context: CommandContext): Command {
  return new Command('pending')
    .description('proposals that wait for signatures')
    .addCommand(
      createFolderCommand('list', 'what waits, what it changes, and who has to sign').action(
        (folder: string, options: OutputOptions) => list(context, folder, options),
      ),
    )
    .addCommand(
      createFolderCommand('drop', 'give a proposal up; nothing that is in force changes')
        .requiredOption('--name <NAME>', 'as `list` shows it')
        .action((folder: string, options: OutputOptions & { name: string }) =>
          withRepositoryLock(layoutOf(folder), () => drop(context, folder, options)),
        ),
    );
}

export function createMergeCommand(context: CommandContext): Command {
  return createSigningCommand(
    'merge',
    'take in what others signed; with enough signatures the proposal comes into force',
  )
    .requiredOption('--name <NAME>', 'the proposal, as `pending list` shows it')
    .option('--from <FILE>', 'a copy with signatures; more than once for several', toFiles)
    .action((folder: string, options: MergeOptions) =>
      changeRepository(folder, options, (work) => merge(context, work)),
    );
}

async function list(context: CommandContext, folder: string, options: OutputOptions): Promise<void> {
  const repository = await openFolder(folder, { ...context, nowMs: context.clock.nowMs() });
  const names = await listPending(repository.layout);
  const pending = await Promise.all(names.map((name) => describePending(repository, name)));
  await printResult(context, options, {
    lines: pending.length === 0 ? ['nothing waits'] : pending.flatMap(({ lines }) => lines),
    json: { pending: pending.map(({ json }) => json) },
  });
}

async function describePending({ layout, current }: OpenFolder, name: string) {
  const loaded = await loadPending(layout, name);
  const known = authoritiesOf(loaded, current);
  const { proposal, dropped } = dropBadSignatures(loaded, known);
  const missing = missingIn(proposal, known).map(describeMissing);
  const changes = [...describeProposal(proposal, current)];
  const outdated = [...describeOutdated(proposal, current)];
  const proposalSha256 = signedTogetherSha256(proposal.drafts);
  return {
    lines: [
      name,
      ...[
        ...outdated,
        ...describeDropped(name, dropped),
        ...changes,
        describeSignedTogether(proposalSha256),
        ...missing,
      ].map((line) => `  ${line}`),
    ],
    json: { name, changes, proposalSha256, missing, outdated, dropped },
  };
}

async function merge(
  context: CommandContext,
  { folder, options, keys }: RepositoryWork<MergeOptions>,
): Promise<void> {
  const nowMs = context.clock.nowMs();
  const repository = await openFolder(folder, { ...context, nowMs });
  const { layout, current } = repository;
  const loaded = await loadPending(layout, options.name);
  const known = authoritiesOf(loaded, current);
  const { dropped, ...good } = dropBadSignatures(loaded, known);
  let { proposal } = good;
  for (const file of options.from ?? []) proposal = mergeProposals(proposal, await loadProposal(file), known);
  const changes = [...describeProposal(proposal, current)];
  showBeforeSigning(context, options, [
    ...describeDropped(proposal.name, dropped),
    ...changes,
    describeSignedTogether(signedTogetherSha256(proposal.drafts)),
  ]);
  // Kept whatever comes: the online keys may be on another machine than the files that people sent.
  await savePending(layout, proposal, 'replace');
  const carriedOut = await carryOut(repository, { proposal, keys, nowMs, whenPending: 'replace' });
  const lines = [`${carriedOut.inForce ? 'in force' : 'merged'}: ${proposal.name}`];
  await printCarriedOut(context, options, { result: { lines, json: { changes } }, carriedOut });
}

async function drop(
  context: CommandContext,
  folder: string,
  options: OutputOptions & { name: string },
): Promise<void> {
  const layout = layoutOf(folder);
  const { name } = await loadPending(layout, options.name);
  await removePending(layout, name);
  await printResult(context, options, { lines: [`${name} is given up`], json: { dropped: name } });
}
