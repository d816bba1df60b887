import { layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata, saveChange, trustedMetadata } from '../../signing/repository/metadata-folder.ts';
import { withRepositoryLock } from '../../signing/repository/repository-lock.ts';
import { expiryAt, loadSettings } from '../../signing/repository/settings.ts';
import type { RoleSigner } from '../../signing/role-signer.ts';
import { parseDraft } from '../../signing/tuf/draft.ts';
import { finishProposal, type RepositoryChange } from '../../signing/tuf/finish-proposal.ts';
import type { TrustedMetadata } from '../../signing/tuf/verify-metadata.ts';

export interface Refresh {
  readonly repository: string;
  readonly whenLeftMs: number;
  readonly signer: RoleSigner;
  /** The version that was signed last for a role, whether or not it was ever written. */
  lastSigned(role: string): Promise<number>;
  readonly nowMs: number;
}

/**
 * Signs snapshot and timestamp of a repository anew when one of them has little time left, and writes them as
 * `boot-sign refresh` does: both or none, and only what a client accepts. A crash between signing and writing
 * costs a version number; the next run takes the number after it.
 *
 * @returns the versions written, or nothing when there is time left
 */
export async function refreshRepository(
  refresh: Refresh,
): Promise<{ snapshot: number; timestamp: number } | undefined> {
  const layout = layoutOf(refresh.repository);
  return withRepositoryLock(layout, async () => {
    const stored = await loadMetadata(layout);
    const current = trustedMetadata(stored);
    if (!isDue(current, refresh)) return undefined;
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
    return versionsIn(change);
  });
}

function isDue({ snapshot, timestamp }: TrustedMetadata, { nowMs, whenLeftMs }: Refresh): boolean {
  return Math.min(snapshot.expiresMs, timestamp.expiresMs) < nowMs + whenLeftMs;
}

function versionsIn(change: RepositoryChange): { snapshot: number; timestamp: number } {
  const [snapshot, timestamp] = change.map(({ name, bytes }) =>
    parseDraft(name === 'timestamp.json' ? 'timestamp' : 'snapshot', bytes),
  );
  return { snapshot: snapshot?.version ?? 0, timestamp: timestamp?.version ?? 0 };
}
