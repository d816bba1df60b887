import { referenceOf } from '../../signing/artifact.ts';
import { layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata, saveChange, trustedMetadata } from '../../signing/repository/metadata-folder.ts';
import { withRepositoryLock } from '../../signing/repository/repository-lock.ts';
import { expiryAt, loadSettings } from '../../signing/repository/settings.ts';
import type { RoleSigner } from '../../signing/role-signer.ts';
import { composeSnapshot, composeTimestamp } from '../../signing/tuf/compose.ts';
import { createDraft, type Draft, encodeDraft, withSignatures } from '../../signing/tuf/draft.ts';
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
    const { onlineMs: expiresMs } = expiryAt(refresh.nowMs, await loadSettings(layout));
    const meta = new Map(
      [...current.snapshot.meta].map(([file, listed]) => [file.replace(/\.json$/, ''), listed]),
    );
    const snapshotVersion = await nextVersion(current.snapshot.version, 'snapshot', refresh);
    const snapshot = await signed(
      composeSnapshot({ version: snapshotVersion, expiresMs }, meta),
      'snapshot',
      current,
      refresh,
    );
    const listed = { version: snapshot.version, ...referenceOf(encodeDraft(snapshot)) };
    const timestampVersion = await nextVersion(current.timestamp.version, 'timestamp', refresh);
    const timestamp = await signed(
      composeTimestamp({ version: timestampVersion, expiresMs }, listed),
      'timestamp',
      current,
      refresh,
    );
    const change = [
      { name: `${snapshot.version}.snapshot.json`, bytes: encodeDraft(snapshot) },
      { name: 'timestamp.json', bytes: encodeDraft(timestamp) },
    ];
    await saveChange(layout, { stored, change, nowMs: refresh.nowMs });
    return { snapshot: snapshot.version, timestamp: timestamp.version };
  });
}

function isDue({ snapshot, timestamp }: TrustedMetadata, { nowMs, whenLeftMs }: Refresh): boolean {
  return Math.min(snapshot.expiresMs, timestamp.expiresMs) < nowMs + whenLeftMs;
}

async function nextVersion(inForce: number, role: string, { lastSigned }: Refresh): Promise<number> {
  return Math.max(inForce, await lastSigned(role)) + 1;
}

async function signed(
  content: Draft['signed'],
  role: 'snapshot' | 'timestamp',
  { root }: TrustedMetadata,
  { signer }: Refresh,
): Promise<Draft> {
  const draft = createDraft(role, content);
  const { keyIds } = root.rules[role];
  return withSignatures(draft, await signer.sign({ role, keyIds, canonical: draft.canonical }));
}
