import { createHash } from 'node:crypto';
import { asciiBytes } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { isSha256Hex } from '../../signing/names.ts';
import { BackupError } from './backup-error.ts';
import { ByteReader, damaged } from './byte-reader.ts';
import { decrypt, type Encryption, encodeEncryption, encrypt, parseEncryption } from './encryption.ts';

/**
 * A backup: a line of JSON that says what it is, then entries, each a line of JSON with path, length and
 * SHA-256 before its bytes, then a line with the number of entries and the hash of all of them.
 * docs/operations.md, "Backup and restore".
 */
export interface ArchiveEntry {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
}

export interface EntrySource extends ArchiveEntry {
  open(): AsyncIterable<Uint8Array>;
}

export interface Lock {
  readonly passphrase: string;
  readonly encryption: Encryption;
}

const FORMAT = 'bootward-backup-v1';
const MAX_LINE_BYTES = 4096;

/** What may be in one: nothing else is ever written anywhere. */
const PATHS = [
  /^state\.db$/,
  /^served-floor\.json$/,
  /^grant\.key$/,
  /^tls\/(?:ca|firmware|agents)\.(?:key|pem)$/,
  /^tpm-vendors\/[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/,
  /^artifacts\/[0-9a-f]{64}$/,
];

export async function* writeArchive(
  entries: AsyncIterable<EntrySource>,
  lock?: Lock,
): AsyncGenerator<Uint8Array> {
  const header = line({
    format: FORMAT,
    encryption: lock === undefined ? null : encodeEncryption(lock.encryption),
  });
  yield header;
  const body = writeBody(entries);
  yield* lock === undefined ? body : encrypt(body, { ...lock, header });
}

async function* writeBody(entries: AsyncIterable<EntrySource>): AsyncGenerator<Uint8Array> {
  const whole = createHash('sha256');
  let count = 0;
  for await (const entry of entries) {
    const { path, length, sha256 } = entry;
    if (!isKnown(path)) throw new Error(`${path} does not belong into a backup`);
    const title = line({ path, length, sha256 });
    whole.update(title);
    yield title;
    yield* checked(entry.open(), entry);
    count += 1;
  }
  yield line({ end: count, sha256: whole.digest('hex') });
}

export type TakeEntry = (entry: ArchiveEntry, bytes: AsyncIterable<Buffer>) => Promise<void>;

/**
 * Gives each entry to `take`, which must read it to its end: its hash has been checked when the bytes end,
 * and that nothing is missing when this returns.
 *
 * @throws {BackupError}
 */
export async function readArchive(
  source: AsyncIterable<Buffer>,
  { passphrase, take }: { passphrase: () => Promise<string>; take: TakeEntry },
): Promise<void> {
  const outer = new ByteReader(source);
  const title = await outer.line(MAX_LINE_BYTES).catch(noBackup);
  const encryption = parseHeader(title);
  const header = Buffer.concat([title, Buffer.from('\n')]);
  const inner =
    encryption === undefined
      ? outer
      : new ByteReader(decrypt(outer, { encryption, passphrase: await passphrase(), header }));
  await readBody(inner, take);
}

async function readBody(reader: ByteReader, take: TakeEntry): Promise<void> {
  const whole = createHash('sha256');
  const seen = new Set<string>();
  for (;;) {
    const text = await reader.line(MAX_LINE_BYTES);
    const document = parseLine(text);
    if (document.end !== undefined) {
      if (document.end !== seen.size || document.sha256 !== whole.digest('hex'))
        damaged('it does not end as it should');
      if (!(await reader.isAtEnd())) damaged('something follows its end');
      return;
    }
    whole.update(text).update('\n');
    const entry = parseEntry(document);
    if (seen.has(entry.path)) damaged(`${entry.path} is there twice`);
    seen.add(entry.path);
    await take(entry, checked(reader.bytes(entry.length), entry));
  }
}

async function* checked<Bytes extends Uint8Array>(
  bytes: AsyncIterable<Bytes>,
  { path, length, sha256 }: ArchiveEntry,
): AsyncGenerator<Bytes> {
  const hash = createHash('sha256');
  let received = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    received += chunk.length;
    yield chunk;
  }
  if (received !== length || hash.digest('hex') !== sha256) damaged(`${path} is not what it was`);
}

function parseHeader(bytes: Uint8Array): Encryption | undefined {
  try {
    const { format, encryption, ...others } = parseLine(bytes);
    if (format !== FORMAT || encryption === undefined || Object.keys(others).length > 0)
      throw new Error(`"format" is not ${FORMAT}`);
    return encryption === null ? undefined : parseEncryption(encryption);
  } catch (cause) {
    return noBackup(cause);
  }
}

function noBackup(cause: unknown): never {
  throw new BackupError('backup-invalid', `this is no backup of ours: ${messageOf(cause)}`, { cause });
}

function parseEntry({ path, length, sha256, ...others }: JsonObject): ArchiveEntry {
  if (typeof path !== 'string' || !isKnown(path)) return damaged('an entry is none that we write');
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0 || !isSha256Hex(sha256))
    return damaged(`${path} has no length or no SHA-256`);
  if (Object.keys(others).length > 0) damaged(`${path} has unknown members`);
  return { path, length, sha256 };
}

function parseLine(bytes: Uint8Array): JsonObject {
  try {
    const document = parseStrictJson(bytes, { maxBytes: MAX_LINE_BYTES, maxDepth: 4 });
    if (isJsonObject(document)) return document;
  } catch (cause) {
    return damaged(messageOf(cause));
  }
  return damaged('a line is not an object');
}

function isKnown(path: string): boolean {
  return PATHS.some((pattern) => pattern.test(path));
}

function line(document: JsonObject): Uint8Array {
  return asciiBytes(`${JSON.stringify(document)}\n`);
}
