import { mkdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleItem } from '../attestation/endorsement/trust-anchor-bundle.ts';
import { sweepTemporaryFiles, syncFolder, writeFileDurably } from '../core/durable-file.ts';
import { type FiledItem, loadTpmVendors, TpmVendorsError } from './tpm-vendors.ts';

/** What operators added while the server ran: one DER file for each, named by its SHA-256. */
export interface AnchorFolder {
  readonly path: string;
  load(): Promise<FiledItem[]>;
  /** When it returns, the file survives a power cut. One that is there already stays. */
  save(item: BundleItem): Promise<void>;
  /** When it returns, the file stays away after a power cut. */
  remove(item: BundleItem): Promise<void>;
}

/**
 * Of a bundle each file is whole or not there: a crash between two of them leaves the first ones, which are
 * good by themselves as long as CRLs come after their CAs. What a crash leaves half-written is swept here.
 */
export async function openAnchorFolder(path: string): Promise<AnchorFolder> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await sweepTemporaryFiles(path);
  return {
    path,

    /** @throws {TpmVendorsError} when a file is not what its name says: nothing else writes here */
    async load() {
      const items = await loadTpmVendors([path]);
      const damaged = items.find((item) => item.file !== fileOf(item));
      if (damaged !== undefined)
        throw new TpmVendorsError(
          'tpm-vendors-unreadable',
          `${join(path, damaged.file ?? '')}: its name is not the SHA-256 of what it holds`,
        );
      return items;
    },

    async save(item) {
      const file = join(path, fileOf(item));
      await writeFileDurably({ path: file, contents: item.der, replace: true });
    },

    async remove(item) {
      await unlink(join(path, fileOf(item)));
      await syncFolder(path);
    },
  };
}

function fileOf({ kind, sha256 }: BundleItem): string {
  return `${sha256}.${kind === 'crl' ? 'crl' : 'crt'}`;
}
