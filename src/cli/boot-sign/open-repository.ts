import { layoutOf, type RepositoryLayout } from '../../signing/repository/layout.ts';
import {
  loadMetadata,
  type StoredMetadata,
  trustedMetadata,
} from '../../signing/repository/metadata-folder.ts';
import { RepositoryError } from '../../signing/repository/repository-error.ts';
import { type Expiry, expiryAt, loadSettings } from '../../signing/repository/settings.ts';
import type { TrustedMetadata } from '../../signing/tuf/verify-metadata.ts';
import type { CommandContext } from './command.ts';

/** A repository folder, read and verified, perhaps one whose first root waits for signatures. */
export interface OpenFolder {
  readonly layout: RepositoryLayout;
  /** Undefined as long as nothing is in force. */
  readonly stored: StoredMetadata | undefined;
  /** The same. */
  readonly current: TrustedMetadata | undefined;
  /** When what is signed now expires. */
  readonly expiry: Expiry;
}

/** One that is ready to be added to. */
export interface OpenRepository extends OpenFolder {
  readonly stored: StoredMetadata;
  readonly current: TrustedMetadata;
}

/** For what is done with proposals: the first one makes the repository. */
export async function openFolder(
  folder: string,
  on: { nowMs: number } & Pick<CommandContext, 'stderr'>,
): Promise<OpenFolder> {
  try {
    return await openRepository(folder, on);
  } catch (cause) {
    if (!(cause instanceof RepositoryError) || cause.code !== 'repository-unsigned') throw cause;
    const layout = layoutOf(folder);
    const expiry = expiryAt(on.nowMs, await loadSettings(layout));
    return { layout, stored: undefined, current: undefined, expiry };
  }
}

/** Warns when its last timestamp says that it was signed later than now: so will all that follow until then. */
export async function openRepository(
  folder: string,
  { nowMs, stderr }: { nowMs: number } & Pick<CommandContext, 'stderr'>,
): Promise<OpenRepository> {
  const layout = layoutOf(folder);
  const settings = await loadSettings(layout);
  const stored = await loadMetadata(layout);
  const current = trustedMetadata(stored);
  const aheadSeconds = (current.timestamp.signedAtSeconds ?? 0) - Math.floor(nowMs / 1000);
  if (aheadSeconds > 0) stderr.write(`${aheadWarning(aheadSeconds, nowMs)}\n`);
  return { layout, stored, current, expiry: expiryAt(nowMs, settings) };
}

function aheadWarning(aheadSeconds: number, nowMs: number): string {
  const [signedAt, now] = [nowMs + aheadSeconds * 1000, nowMs].map((ms) => new Date(ms).toISOString());
  return `warning: the last timestamp says it was signed at ${signedAt}, the clock here says ${now}: what is signed now says the former too, and a server refuses it until then; correct the clock, or go back to the folder as it was published last`;
}
