import { layoutOf, type RepositoryLayout } from '../../signing/repository/layout.ts';
import {
  loadMetadata,
  type StoredMetadata,
  trustedMetadata,
} from '../../signing/repository/metadata-folder.ts';
import { type Expiry, expiryAt, loadSettings } from '../../signing/repository/settings.ts';
import type { TrustedMetadata } from '../../signing/tuf/verify-metadata.ts';

/** A repository folder, read and verified, ready to be added to. */
export interface OpenRepository {
  readonly layout: RepositoryLayout;
  readonly stored: StoredMetadata;
  readonly current: TrustedMetadata;
  /** When what is signed now expires. */
  readonly expiry: Expiry;
}

export async function openRepository(folder: string, nowMs: number): Promise<OpenRepository> {
  const layout = layoutOf(folder);
  const settings = await loadSettings(layout);
  const stored = await loadMetadata(layout);
  return { layout, stored, current: trustedMetadata(stored), expiry: expiryAt(nowMs, settings) };
}
