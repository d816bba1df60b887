import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { JsonObject } from '../../core/strict-json.ts';
import { layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata, trustedMetadata } from '../../signing/repository/metadata-folder.ts';
import { requireNext } from '../../signing/tuf/finish-proposal.ts';
import type { Proposal } from '../../signing/tuf/proposal.ts';
import { claimedBase, verifyBase } from '../../signing/tuf/proposal-base.ts';
import type { TrustedMetadata } from '../../signing/tuf/verify-metadata.ts';
import { UsageError } from './usage-error.ts';

/** What somebody who signs a proposal knows beside it: exactly one of these. */
export interface BaseOptions {
  readonly root?: string;
  readonly repository?: string;
  readonly trustBase?: true;
  readonly newRepository?: true;
}

/** What a proposal is compared with, and why that is to be believed. */
export interface TrustedBase {
  /** Undefined for a new repository. */
  readonly current: TrustedMetadata | undefined;
  readonly lines: readonly string[];
  readonly json: JsonObject;
}

export function withBase(command: Command): Command {
  return command
    .option(
      '--root <FILE>',
      'root metadata that you trust, of any version: verifies what was in force before',
    )
    .option('--repository <DIR>', 'or the repository folder, if you have it')
    .option('--new-repository', 'or nothing: it is the first root of a new repository')
    .option('--trust-base', 'or believe what the proposal says was in force before, unverified');
}

/**
 * What was in force before, and that each file of the proposal is the next version of it.
 *
 * @throws {UsageError | TufError}
 */
export async function loadBase(
  proposal: Proposal,
  options: BaseOptions,
  nowMs: number,
): Promise<TrustedBase> {
  const { root, repository, trustBase, newRepository } = options;
  if ([root, repository, trustBase, newRepository].filter((option) => option !== undefined).length !== 1)
    throw new UsageError(
      'what was in force before has to be verified: give --root FILE, a root that you trust, or --repository DIR (--new-repository when there was nothing; --trust-base, to believe the proposal)',
    );
  if (newRepository) requireNothingBefore(proposal);
  const current =
    root !== undefined
      ? verifyBase(proposal, await readFile(root))
      : repository !== undefined
        ? trustedMetadata(await loadMetadata(layoutOf(repository)))
        : claimedBase(proposal);
  requireNext(proposal, current);
  const lines = [...(trustBase ? [WARNING] : []), ...describeCurrent(current, nowMs)];
  return { current, lines, json: { verified: trustBase !== true, ...jsonOf(current) } };
}

function requireNothingBefore({ name, base }: Proposal): void {
  if (base.size > 0)
    throw new UsageError(
      `${name} is of a repository that is there already: give --root FILE, a root of it that you trust`,
    );
}

const WARNING =
  'NOT VERIFIED: what was in force before is only what the proposal says (--trust-base): a forged "before" makes new keys look like old ones';

function describeCurrent(current: TrustedMetadata | undefined, nowMs: number): readonly string[] {
  if (current === undefined) return ['compared with nothing: a new repository'];
  const { root, timestamp } = current;
  const until = new Date(Math.min(root.expiresMs, timestamp.expiresMs));
  const { signedAtSeconds } = timestamp;
  const at = signedAtSeconds === undefined ? '' : ` of ${new Date(signedAtSeconds * 1000).toISOString()}`;
  const compared = `compared with root version ${root.version}, SHA-256 ${root.file.sha256}, and timestamp version ${timestamp.version}${at}`;
  return until.getTime() > nowMs
    ? [compared]
    : [compared, `warning: that expired at ${until.toISOString()}: ask whether something newer is in force`];
}

function jsonOf(current: TrustedMetadata | undefined): JsonObject {
  if (current === undefined) return {};
  const { root, timestamp } = current;
  return { root: root.version, rootSha256: root.file.sha256, timestamp: timestamp.version };
}
