import { readdir, readFile, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asciiBytes } from '../../core/bytes.ts';
import { syncFolder, writeFileDurably } from '../../core/durable-file.ts';
import { readIfThere } from '../../core/errno.ts';
import { isJsonObject, parseStrictJson } from '../../core/strict-json.ts';
import type { MetadataFile } from '../tuf/draft.ts';
import { type RepositoryChange, verifyChange } from '../tuf/finish-proposal.ts';
import { rootFile } from '../tuf/root.ts';
import { type TrustedMetadata, verifyMetadata } from '../tuf/verify-metadata.ts';
import { FIRST_PROPOSAL, pendingFile, type RepositoryLayout } from './layout.ts';
import { RepositoryError } from './repository-error.ts';

const METADATA_NAME = /^(?:[1-9][0-9]{0,15}\.)?[a-z0-9-]{1,80}\.json$/;
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** The metadata of a folder as it lies there, and the root that its trust starts from. */
export interface StoredMetadata {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly trustedRoot: Uint8Array;
}

/**
 * What is in force, a change that a crash cut short included.
 *
 * @throws {RepositoryError} `repository-missing`; `repository-unsigned` while the first root waits for signatures
 */
export async function loadMetadata(layout: RepositoryLayout): Promise<StoredMetadata> {
  const names = await readdir(layout.metadata).catch((cause: unknown) => {
    throw new RepositoryError('repository-missing', `${layout.metadata} cannot be read`, { cause });
  });
  const files = new Map<string, Uint8Array>();
  for (const name of names.filter((name) => METADATA_NAME.test(name)).sort())
    files.set(name, await readFile(join(layout.metadata, name)));
  for (const { name, bytes } of await readJournal(layout)) files.set(name, bytes);
  const trustedRoot = files.get(rootFile(1));
  if (trustedRoot === undefined) return files.size === 0 ? refuseUnsigned(layout) : refuseRootless(layout);
  return { files, trustedRoot };
}

async function refuseUnsigned(layout: RepositoryLayout): Promise<never> {
  const pending = pendingFile(layout, FIRST_PROPOSAL);
  if ((await stat(pending).catch(() => undefined)) === undefined) return refuseRootless(layout);
  throw new RepositoryError(
    'repository-unsigned',
    `nothing is in force in ${layout.folder} yet: ${pending} waits for signatures, "boot-sign merge" takes them in`,
  );
}

function refuseRootless({ metadata }: RepositoryLayout): never {
  throw new RepositoryError('repository-missing', `${metadata} holds no ${rootFile(1)}`);
}

/**
 * What a change starts from: every signature good, but nothing is too old, because renewing what has
 * expired is what signing is for.
 *
 * @throws {TufError}
 */
export function trustedMetadata({ files, trustedRoot }: StoredMetadata): TrustedMetadata {
  return verifyMetadata({ trustedRoot, files, nowMs: 0 });
}

/**
 * Judges the change as a client would, then writes it. The whole change is in the journal before any of it
 * is in the folder: a crash before that leaves the old repository, a crash after it the new one, for whoever
 * reads next takes the journal's word and the next change writes the rest.
 *
 * @throws {TufError} and then nothing was written
 */
export async function saveChange(
  layout: RepositoryLayout,
  input: { stored?: StoredMetadata; change: RepositoryChange; nowMs: number },
): Promise<void> {
  const { stored, change, nowMs } = input;
  const firstRoot = change.find(({ name }) => name === rootFile(1))?.bytes;
  const trustedRoot = stored?.trustedRoot ?? firstRoot ?? new Uint8Array();
  verifyChange({ trustedRoot, files: stored?.files ?? new Map(), change, nowMs });
  await finishChange(layout);
  await writeJournal(layout, change);
  await finishChange(layout);
}

async function finishChange(layout: RepositoryLayout): Promise<void> {
  const change = await readJournal(layout);
  if (change.length === 0) return;
  for (const { name, bytes } of change)
    await writeFileDurably({
      path: join(layout.metadata, name),
      contents: bytes,
      mode: 0o644,
      replace: true,
    });
  await unlink(layout.journal);
  await syncFolder(dirname(layout.journal));
}

async function writeJournal({ journal }: RepositoryLayout, change: RepositoryChange): Promise<void> {
  const files = Object.fromEntries(change.map(({ name, bytes }) => [name, Buffer.from(bytes).toString()]));
  await writeFileDurably({ path: journal, contents: asciiBytes(JSON.stringify(files)), replace: true });
}

async function readJournal({ journal }: RepositoryLayout): Promise<readonly MetadataFile[]> {
  const bytes = await readIfThere(journal);
  if (bytes === undefined) return [];
  const document = parseStrictJson(bytes, { maxBytes: MAX_JOURNAL_BYTES, maxDepth: 2 });
  return Object.entries(isJsonObject(document) ? document : {}).map(([name, text]) => {
    if (!METADATA_NAME.test(name) || typeof text !== 'string')
      throw new RepositoryError('artifact-damaged', `${journal} is no change of ours: remove it`);
    return { name, bytes: asciiBytes(text) };
  });
}
