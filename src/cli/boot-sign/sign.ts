import type { Command } from 'commander';
import { writeFileDurably } from '../../core/durable-file.ts';
import { loadProposal } from '../../signing/repository/pending-folder.ts';
import { createKeyRoleSigner } from '../../signing/role-signer.ts';
import type { MissingSignatures } from '../../signing/tuf/authority.ts';
import { describeProposal } from '../../signing/tuf/describe-proposal.ts';
import { describeMissing } from '../../signing/tuf/finish-proposal.ts';
import {
  authoritiesOf,
  describeDropped,
  dropBadSignatures,
  encodeProposal,
  missingIn,
  type Proposal,
  signProposal,
} from '../../signing/tuf/proposal.ts';
import {
  describeSignedTogether,
  requireExpected,
  signedTogetherSha256,
} from '../../signing/tuf/signed-together.ts';
import {
  type CommandContext,
  createFileSigningCommand,
  type OutputOptions,
  printResult,
  showBeforeSigning,
} from './command.ts';
import { KEY_HELP, type KeyAccessOptions, withKeyOpener } from './key-access.ts';
import { toFiles, toSha256 } from './options.ts';
import { type BaseOptions, loadBase, withBase } from './trusted-base.ts';
import { UsageError } from './usage-error.ts';

interface SignOptions extends OutputOptions, KeyAccessOptions, BaseOptions {
  readonly key: readonly string[];
  readonly expect?: string;
  readonly dryRun?: true;
}

/** For whoever has a proposal, a key, and a root that they trust: no repository, no network. */
export function createSignCommand(context: CommandContext): Command {
  return withBase(
    createFileSigningCommand(
      'sign',
      'sign a proposal with your key; the file gets the signatures',
      'the proposal: a file that waits for signatures',
    ),
  )
    .requiredOption('--key <KEY>', `more than once for several: ${KEY_HELP}`, toFiles)
    .option(
      '--expect <SHA256>',
      'of all that is signed here, as --dry-run shows it: another proposal is refused',
      toSha256,
    )
    .option('--dry-run', 'show what you would sign, and sign nothing')
    .action((file: string, options: SignOptions) => sign(context, file, options));
}

async function sign(context: CommandContext, file: string, options: SignOptions): Promise<void> {
  const loaded = await loadProposal(file);
  if (options.expect !== undefined) requireExpected(loaded, options.expect);
  const base = await loadBase(loaded, options, context.clock.nowMs());
  const known = authoritiesOf(loaded, base.current);
  const { proposal, dropped } = dropBadSignatures(loaded, known);
  const changes = [...describeProposal(proposal, base.current)];
  const proposalSha256 = signedTogetherSha256(proposal.drafts);
  const json = { changes, proposalSha256, base: base.json, dropped };
  const shown = [
    ...base.lines,
    ...describeDropped(proposal.name, dropped),
    ...changes,
    describeSignedTogether(proposalSha256),
  ];
  if (options.dryRun) {
    const open = missingIn(proposal, known).map((missing) => `  ${describeMissing(missing)}`);
    await printResult(context, options, { lines: [...shown, ...open], json });
    return;
  }
  showBeforeSigning(context, options, shown);
  const signed = await withKeyOpener(options, async ({ open }) =>
    signProposal(proposal, known, createKeyRoleSigner(await Promise.all(options.key.map(open)))),
  );
  const made = countSignatures(signed) - countSignatures(proposal);
  if (made === 0) throw new UsageError(`${file} asks for no signature of these keys, or has them already`);
  await writeFileDurably({ path: file, contents: encodeProposal(signed), mode: 0o644, replace: true });
  const result = describe(signed, { made, missing: missingIn(signed, known) });
  await printResult(context, options, { lines: result.lines, json: { ...json, ...result.json } });
}

function describe(
  { name }: Proposal,
  { made, missing }: { made: number; missing: readonly MissingSignatures[] },
) {
  const open = missing.map(describeMissing);
  const rest = open.length === 0 ? ['nothing is missing now'] : open.map((line) => `still: ${line}`);
  return {
    lines: [`${made} signatures made on ${name}`, ...rest],
    json: { name, signatures: made, missing: open },
  };
}

function countSignatures({ drafts }: Proposal): number {
  return drafts.reduce((sum, { signatures }) => sum + signatures.size, 0);
}
