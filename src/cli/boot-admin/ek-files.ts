import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { CliError } from './cli-error.ts';

export interface EkEntry {
  /** Hex SHA-256 of the endorsement key's SubjectPublicKeyInfo. */
  fingerprint: string;
  comment: string;
}

const FINGERPRINT_LINE = /^([0-9a-f]{64})(?:[ \t]+([\x20-\x7e]*))?$/;
const MAX_COMMENT = 200;

/**
 * Endorsement keys from a certificate (PEM, several in one file, or DER) or from a text file with a
 * fingerprint and an optional comment a line; `#` starts a comment line.
 *
 * @throws {CliError} naming the file and the line
 */
export async function readEkFile(file: string): Promise<EkEntry[]> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new CliError(`cannot read ${file}: ${messageOf(cause)}`, { cause });
  });
  if (isDer(bytes)) return [fromCertificate(bytes, file)];
  const text = bytes.toString('latin1');
  const pems = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (pems !== null) return pems.map((pem) => fromCertificate(Buffer.from(pem), file));
  return fromLines(text, file);
}

/** A SEQUENCE with its length in a byte of its own: a fingerprint may start with the digit 0 (0x30) too. */
function isDer(bytes: Uint8Array): boolean {
  return bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80;
}

function fromCertificate(bytes: Uint8Array, file: string): EkEntry {
  try {
    const { publicKey } = new X509Certificate(bytes);
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    return { fingerprint: toHex(sha256(spki)), comment: basename(file).slice(0, MAX_COMMENT) };
  } catch (cause) {
    throw new CliError(`${file} is not a certificate with a key we can read: ${messageOf(cause)}`, { cause });
  }
}

function fromLines(text: string, file: string): EkEntry[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const [, fingerprint, comment = ''] = FINGERPRINT_LINE.exec(line) ?? [];
    if (fingerprint === undefined)
      throw new CliError(`${file}, line ${index + 1}: expected 64 lower-case hex digits, then a comment`);
    return [{ fingerprint, comment: comment.slice(0, MAX_COMMENT) }];
  });
}
