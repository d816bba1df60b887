import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  adoptPinnedRoots,
  type PinnedRoot,
  parsePinnedRoots,
} from '../attestation/endorsement/trust-anchor-pins.ts';
import {
  addRevocationLists,
  mergeTrustAnchors,
  parseTrustAnchors,
  type TrustAnchors,
} from '../attestation/endorsement/trust-anchors.ts';
import { CodedError, messageOf } from '../core/errors.ts';

export class TpmVendorsError extends CodedError<'tpm-vendors-unreadable'> {}

const CERTIFICATE_FILES: readonly string[] = ['.pem', '.crt', '.cer', '.der'];
const REVOCATION_LIST_FILES: readonly string[] = ['.crl'];
const PINS = fileURLToPath(new URL('../../keys/tpm-vendors.json', import.meta.url));

/**
 * Every CA certificate of TPM manufacturers in these folders, and every CRL (`.crl`). A file that cannot be
 * read, or a CRL that none of the CAs has signed, stops the start: a list that is silently shorter refuses
 * nodes, one that is silently longer would be worse.
 *
 * @throws {TpmVendorsError} naming the file
 */
export async function loadTpmVendors(folders: readonly string[]): Promise<TrustAnchors> {
  const files = (await Promise.all(folders.map(filesOf))).flat();
  const ofKind = (kind: readonly string[]) => files.filter((file) => kind.includes(extname(file)));
  const certificates = await Promise.all(
    ofKind(CERTIFICATE_FILES).map((file) => readWith(file, parseTrustAnchors)),
  );
  let anchors = adoptPinnedRoots(mergeTrustAnchors(certificates), await loadPinnedRoots());
  for (const file of ofKind(REVOCATION_LIST_FILES))
    anchors = await readWith(file, (bytes) => addRevocationLists(anchors, bytes));
  return anchors;
}

/** The roots that this version knows (keys/tpm-vendors.json). @throws {TpmVendorsError} */
export function loadPinnedRoots(): Promise<PinnedRoot[]> {
  return readWith(PINS, parsePinnedRoots);
}

async function filesOf(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names.sort().map((name) => join(folder, name));
  } catch (cause) {
    throw unreadable(folder, cause);
  }
}

async function readWith<Value>(file: string, read: (bytes: Uint8Array) => Value): Promise<Value> {
  try {
    return read(await readFile(file));
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(path: string, cause: unknown): TpmVendorsError {
  return new TpmVendorsError('tpm-vendors-unreadable', `tpmVendors: ${path}: ${messageOf(cause)}`, { cause });
}
