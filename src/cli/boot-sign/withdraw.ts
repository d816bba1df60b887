import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../../core/strict-json.ts';
import {
  type Architecture,
  channelRole,
  releaseTarget,
  STAGE0_ROLE,
  stage0Target,
} from '../../signing/names.ts';
import { parseReference } from '../../signing/tuf/meta-files.ts';
import { proposeWithdrawal } from '../../signing/tuf/propose.ts';
import type { TrustedMetadata } from '../../signing/tuf/verify-metadata.ts';
import { carryOut, printCarriedOut } from './carry-out.ts';
import { changeRepository, type RepositoryWork } from './change-repository.ts';
import { type CommandContext, createSigningCommand, printResult, type SigningOptions } from './command.ts';
import { openRepository } from './open-repository.ts';
import { createOperatorDoor } from './operator-door.ts';
import { toArchitecture, toChannel, toPositiveInteger } from './options.ts';
import { UsageError } from './usage-error.ts';

interface WithdrawOptions extends SigningOptions {
  readonly channel?: string;
  readonly version?: number;
  readonly build?: number;
  readonly architecture: Architecture;
  readonly socket?: string;
  readonly dryRun?: true;
}

export function createWithdrawCommand(context: CommandContext): Command {
  return createSigningCommand(
    'withdraw',
    'list a release or a stage-0 build no longer: no node boots it again',
  )
    .option('--channel <NAME>', "the release's channel, with --version", toChannel)
    .option('--version <N>', "the release's number", toPositiveInteger)
    .option('--build <N>', "or the stage-0's build number", toPositiveInteger)
    .option('--architecture <NAME>', "the stage-0's: x86-64 or arm64", toArchitecture, 'x86-64')
    .option('--socket <PATH>', "the boot server's operators' socket: says which nodes run it now")
    .option('--dry-run', 'say what would be withdrawn; sign nothing')
    .action((folder: string, options: WithdrawOptions) =>
      changeRepository(folder, options, (work) => withdraw(context, work)),
    );
}

async function withdraw(
  context: CommandContext,
  { folder, options, keys }: RepositoryWork<WithdrawOptions>,
): Promise<void> {
  const what = toTarget(options);
  const nowMs = context.clock.nowMs();
  const repository = await openRepository(folder, { ...context, nowMs });
  const proposal = proposeWithdrawal(repository.current, what, repository.expiry.offlineMs);
  const nodes = await nodesRunning(options, digestOf(repository.current, what));
  const running = nodes === undefined ? [] : [describeNodes(nodes)];
  const json: JsonObject = { target: what.target, ...(nodes !== undefined && { nodes: [...nodes] }) };
  if (options.dryRun) {
    await printResult(context, options, { lines: [`would withdraw ${what.target}`, ...running], json });
    return;
  }
  const carriedOut = await carryOut(repository, { proposal, keys, nowMs });
  const did = carriedOut.inForce ? 'withdrawn' : 'proposed to withdraw';
  const next = carriedOut.inForce ? ['publish it: boot servers and nodes act on it from then on'] : [];
  const lines = [`${did}: ${what.target}`, ...running, ...next];
  await printCarriedOut(context, options, { result: { lines, json }, carriedOut });
}

interface Listed {
  readonly role: string;
  readonly target: string;
}

function toTarget({ channel, version, build, architecture }: WithdrawOptions): Listed {
  if (build !== undefined && channel === undefined && version === undefined)
    return { role: STAGE0_ROLE, target: stage0Target(architecture, build) };
  if (channel === undefined || version === undefined || build !== undefined)
    throw new UsageError('give --channel and --version for a release, or --build for a stage-0');
  return { role: channelRole(channel), target: releaseTarget(channel, version) };
}

function digestOf({ delegated }: TrustedMetadata, { role, target }: Listed): string {
  const targets = delegated.find(({ delegation }) => delegation.role === role)?.metadata.targets;
  return parseReference(targets?.[target], target).sha256;
}

/** Names of the nodes whose last accepted boot was of this release or stage-0. */
async function nodesRunning(
  { socket }: WithdrawOptions,
  sha256: string,
): Promise<readonly string[] | undefined> {
  if (socket === undefined) return undefined;
  const nodes = await createOperatorDoor(socket).listNodes();
  return nodes.filter((node) => runs(node, sha256)).map(({ id }) => String(id));
}

function runs({ session }: JsonObject, sha256: string): boolean {
  return isJsonObject(session) && (session.releaseDigest === sha256 || session.stage0Sha256 === sha256);
}

function describeNodes(nodes: readonly string[]): string {
  return nodes.length === 0 ? 'no node runs it now' : `nodes that run it now: ${nodes.join(', ')}`;
}
