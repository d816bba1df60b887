import { layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata, saveChange, trustedMetadata } from '../../signing/repository/metadata-folder.ts';
import { withRepositoryLock } from '../../signing/repository/repository-lock.ts';
import { expiryAt, loadSettings } from '../../signing/repository/settings.ts';
import type { RoleSigner } from '../../signing/role-signer.ts';
import { parseDraft } from '../../signing/tuf/draft.ts';
import { finishProposal, type RepositoryChange } from '../../signing/tuf/finish-proposal.ts';
import type { LastSigned } from '../../signing/tuf/last-signed.ts';
import { parseTimestamp, type TimestampMetadata } from '../../signing/tuf/meta-files.ts';
import type { TrustedMetadata } from '../../signing/tuf/verify-metadata.ts';

export interface Refresh {
  readonly repository: string;
  readonly whenLeftMs: number;
  readonly signer: RoleSigner;
  lastSigned(): Promise<LastSigned>;
  readonly nowMs: number;
}

export interface Refreshed {
  /** The versions that were written; nothing when there was time left. */
  readonly written?: { readonly snapshot: number; readonly timestamp: number };
  /** The timestamp that is in the folder now. */
  readonly timestamp: Pick<TimestampMetadata, 'version' | 'signedAtSeconds' | 'expiresMs'>;
}

/**
 * Signs snapshot and timestamp of a repository anew when one of them has little time left, and writes them as
 * `boot-sign refresh` does: both or none, and only what a client accepts. A crash between signing and writing
 * costs a version number; the next run takes the number after it.
 */
export async function refreshRepository(refresh: Refresh): Promise<Refreshed> {
  const layout = layoutOf(refresh.repository);
  return withRepositoryLock(layout, async () => {
    const stored = await loadMetadata(layout);
    const current = trustedMetadata(stored);
    if (!isDue(current, refresh)) return { timestamp: current.timestamp };
    const { onlineMs: onlineExpiresMs } = expiryAt(refresh.nowMs, await loadSettings(layout));
    const { signer, lastSigned } = refresh;
    const change = await finishProposal({
      current,
      signer,
      onlineExpiresMs,
      lastSigned,
      nowMs: refresh.nowMs,
    });
    await saveChange(layout, { stored, change, nowMs: refresh.nowMs });
    return { written: versionsIn(change), timestamp: timestampIn(change) };
  });
}

function isDue({ snapshot, timestamp }: TrustedMetadata, { nowMs, whenLeftMs }: Refresh): boolean {
  return Math.min(snapshot.expiresMs, timestamp.expiresMs) < nowMs + whenLeftMs;
}

function timestampIn(change: RepositoryChange): TimestampMetadata {
  return parseTimestamp(change.find(({ name }) => name === 'timestamp.json')?.bytes ?? new Uint8Array());
}

function versionsIn(change: RepositoryChange): { snapshot: number; timestamp: number } {
  const [snapshot, timestamp] = change.map(({ name, bytes }) =>
    parseDraft(name === 'timestamp.json' ? 'timestamp' : 'snapshot', bytes),
  );
  return { snapshot: snapshot?.version ?? 0, timestamp: timestamp?.version ?? 0 };
}
