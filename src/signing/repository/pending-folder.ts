import { mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { writeFileDurably } from '../../core/durable-file.ts';
import { isErrno } from '../../core/errno.ts';
import { TufError } from '../tuf/errors.ts';
import { encodeProposal, type Proposal, parseProposal } from '../tuf/proposal.ts';
import { pendingFile, type RepositoryLayout } from './layout.ts';
import { RepositoryError } from './repository-error.ts';

const NAME = /^([a-z0-9][a-z0-9-]{0,79})\.json$/;

/** What a command is to do with a proposal that is pending already under the same name. */
export type WhenPending = 'refuse' | 'replace';

/** @throws {RepositoryError} `repository-exists` when another one waits under this name */
export async function savePending(
  layout: RepositoryLayout,
  proposal: Proposal,
  when: WhenPending,
): Promise<string> {
  const path = pendingFile(layout, proposal.name);
  await mkdir(layout.pending, { recursive: true, mode: 0o700 });
  try {
    await writeFileDurably({
      path,
      contents: encodeProposal(proposal),
      mode: 0o644,
      replace: when === 'replace',
    });
  } catch (cause) {
    if (!isErrno(cause, 'EEXIST')) throw cause;
    const message = `${path} waits for signatures already: have it signed, or drop it`;
    throw new RepositoryError('repository-exists', message, { cause });
  }
  return path;
}

export async function listPending(layout: RepositoryLayout): Promise<readonly string[]> {
  const names = await readdir(layout.pending).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
  return names.flatMap((file) => NAME.exec(file)?.[1] ?? []).sort();
}

/**
 * A file that says another name than its own is refused: it would be saved, or dropped, as that other one.
 *
 * @throws {RepositoryError} `pending-missing`; {TufError} `tuf-proposal-invalid`
 */
export async function loadPending(layout: RepositoryLayout, name: string): Promise<Proposal> {
  const path = pendingFile(layout, name);
  const proposal = await loadProposal(path);
  if (proposal.name === name) return proposal;
  throw new TufError('tuf-proposal-invalid', `${path} says that it is ${proposal.name}: remove the file`);
}

export async function loadProposal(path: string): Promise<Proposal> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT')) throw cause;
    throw new RepositoryError('pending-missing', `${path} is not there`, { cause });
  });
  return parseProposal(bytes);
}

/** Does nothing when it is gone. */
export async function removePending(layout: RepositoryLayout, name: string): Promise<void> {
  await unlink(pendingFile(layout, name)).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}
