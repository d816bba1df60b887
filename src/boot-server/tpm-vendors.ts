import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { mergeTrustAnchors, parseTrustAnchors, type TrustAnchors } from '../attestation/trust-anchors.ts';
import { CodedError, messageOf } from '../core/errors.ts';

export class TpmVendorsError extends CodedError<'tpm-vendors-unreadable'> {}

const CERTIFICATE_FILES = new Set(['.pem', '.crt', '.cer', '.der']);

/**
 * Every CA certificate of TPM manufacturers in these folders. A file that cannot be read stops the start:
 * a list that is silently shorter refuses nodes, one that is silently longer would be worse.
 *
 * @throws {TpmVendorsError} naming the file
 */
export async function loadTpmVendors(folders: readonly string[]): Promise<TrustAnchors> {
  const files = (await Promise.all(folders.map(certificateFilesOf))).flat();
  return mergeTrustAnchors(await Promise.all(files.map(loadAnchors)));
}

async function certificateFilesOf(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => CERTIFICATE_FILES.has(extname(name)))
      .sort()
      .map((name) => join(folder, name));
  } catch (cause) {
    throw new TpmVendorsError(
      'tpm-vendors-unreadable',
      `tpmVendors: cannot read ${folder}: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

async function loadAnchors(file: string): Promise<TrustAnchors> {
  try {
    return parseTrustAnchors(await readFile(file));
  } catch (cause) {
    throw new TpmVendorsError('tpm-vendors-unreadable', `tpmVendors: ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
