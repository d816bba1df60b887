import { sha256 as digestOf, toHex } from '../../core/bytes.ts';
import { parseSignatureLists } from '../../tpm/efi-signature-list.ts';
import { nameOfCertificate } from '../event-log/variable-description.ts';
import type { Finding } from '../reasons.ts';

/** What `db` lets firmware start: everything a certificate signed, or one image. */
export interface DatabaseEntry {
  /** Hex: of the certificate's DER, or the image's own digest. */
  sha256: string;
  /** For a person. */
  words: string;
}

/** A db with more than this holds digests of images, which nobody copies from a note. */
const MAX_NOTED = 16;

/** @throws {TpmFormatError} */
export function readDatabaseEntries(content: Uint8Array): DatabaseEntry[] {
  return parseSignatureLists(content).map(({ kind, data }) => {
    if (kind === 'sha256') return entryOf('image', toHex(data));
    const name = kind === 'x509' ? nameOfCertificate(data) : undefined;
    return entryOf(name === undefined ? 'entry' : `certificate ${name}`, toHex(digestOf(data)));
  });
}

/** May these bytes be a whole db? An empty one may. */
export function isSignatureLists(content: Uint8Array): boolean {
  try {
    parseSignatureLists(content);
    return true;
  } catch {
    return false;
  }
}

function entryOf(what: string, sha256: string): DatabaseEntry {
  return { sha256, words: `${what} (SHA-256 ${sha256})` };
}

/** An operator who wants a list in the policy copies it from here. */
export function noteDatabase(db: readonly DatabaseEntry[]): Finding {
  const told = db.slice(0, MAX_NOTED).map(({ words }) => words);
  const rest = db.length > MAX_NOTED ? ` and ${db.length - MAX_NOTED} more` : '';
  return { code: 'secure-boot-db-measured', message: `PCR 7: db holds ${told.join(', ')}${rest}` };
}

export function checkDatabase(db: readonly DatabaseEntry[], accepted: readonly string[]): Finding[] {
  return db
    .filter(({ sha256 }) => !accepted.includes(sha256))
    .map(({ words }) => ({
      code: 'secure-boot-db',
      message: `PCR 7: expected only what the policy lists in db, it holds ${words}`,
    }));
}
