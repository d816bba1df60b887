import { readdir, readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  assembleTrustAnchors,
  type BundleItem,
  splitBundle,
} from '../attestation/endorsement/trust-anchor-bundle.ts';
import { type PinnedRoot, parsePinnedRoots } from '../attestation/endorsement/trust-anchor-pins.ts';
import type { TrustAnchors } from '../attestation/endorsement/trust-anchors.ts';
import { CodedError, messageOf } from '../core/errors.ts';

export class TpmVendorsError extends CodedError<'tpm-vendors-unreadable'> {}

/** A CA certificate or CRL, and the folder it lies in. */
export type FiledItem = BundleItem & { folder: string };

const ANCHOR_FILES: readonly string[] = ['.pem', '.crt', '.cer', '.der', '.crl'];
const PINS = fileURLToPath(new URL('../../keys/tpm-vendors.json', import.meta.url));

/**
 * Every CA certificate of TPM manufacturers in these folders, and every CRL. A file that cannot be read stops
 * the start: a list that is silently shorter refuses nodes, one that is silently longer would be worse.
 *
 * @throws {TpmVendorsError} naming the file
 */
export async function loadTpmVendors(folders: readonly string[]): Promise<FiledItem[]> {
  return (await Promise.all(folders.map(loadFolder))).flat();
}

/** Judged together, so that a CRL may lie in another folder than its CA. @throws {TpmVendorsError} */
export function assembleTpmVendors(items: readonly FiledItem[], pins: readonly PinnedRoot[]): TrustAnchors {
  try {
    return assembleTrustAnchors(items, pins);
  } catch (cause) {
    throw new TpmVendorsError('tpm-vendors-unreadable', `tpmVendors: ${messageOf(cause)}`, { cause });
  }
}

/** The roots that this version knows (keys/tpm-vendors.json). @throws {TpmVendorsError} */
export async function loadPinnedRoots(): Promise<PinnedRoot[]> {
  try {
    return parsePinnedRoots(await readFile(PINS));
  } catch (cause) {
    throw unreadable(PINS, cause);
  }
}

/** By its name; README and installation scripts of a bundle lie beside the certificates. */
export function isAnchorFile(name: string): boolean {
  return ANCHOR_FILES.includes(extname(name).toLowerCase());
}

async function loadFolder(folder: string): Promise<FiledItem[]> {
  const names = await readdir(folder).catch((cause) => {
    throw unreadable(folder, cause);
  });
  const files = names
    .filter(isAnchorFile)
    .sort()
    .map((name) => join(folder, name));
  const items = (await Promise.all(files.map(loadFile))).flat();
  return items.map((item) => ({ ...item, folder }));
}

async function loadFile(file: string): Promise<BundleItem[]> {
  try {
    return splitBundle(await readFile(file)).map((item) => ({ ...item, file: basename(file) }));
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(path: string, cause: unknown): TpmVendorsError {
  return new TpmVendorsError('tpm-vendors-unreadable', `tpmVendors: ${path}: ${messageOf(cause)}`, { cause });
}
