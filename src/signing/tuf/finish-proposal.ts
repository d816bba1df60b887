import { referenceOf } from '../artifact.ts';
import type { RoleSigner } from '../role-signer.ts';
import { type Authorities, type MissingSignatures, missingSignatures } from './authority.ts';
import { composeSnapshot, composeTimestamp } from './compose.ts';
import { createDraft, type Draft, encodeDraft, type MetadataFile } from './draft.ts';
import { TufError } from './errors.ts';
import { type LastSigned, nextVersion } from './last-signed.ts';
import type { MetaFile } from './meta-files.ts';
import { authoritiesOf, missingIn, type Proposal, signDraft } from './proposal.ts';
import { type TrustedMetadata, versionedFile } from './verify-metadata.ts';
import { verifyRepository } from './verify-repository.ts';

/**
 * Files in the order in which they must be written: what is pointed at before what points at it, the
 * timestamp last. A folder takes them all at once or not at all (metadata-folder.ts).
 */
export type RepositoryChange = readonly MetadataFile[];

/**
 * Puts a proposal that everyone has signed into force: its files, and a snapshot and timestamp that name
 * them. Without a proposal these two are signed once more: the daily proof that the repository is alive.
 *
 * @throws {TufError} `tuf-proposal-outdated`, `tuf-threshold-not-met`, `tuf-version-ahead`
 */
export async function finishProposal(input: {
  current: TrustedMetadata | undefined;
  proposal?: Proposal;
  signer: RoleSigner;
  onlineExpiresMs: number;
  /** Goes into the timestamp; a clock that was set back never takes it back. */
  nowMs: number;
  /** Asked once. */
  lastSigned?: () => Promise<LastSigned>;
}): Promise<RepositoryChange> {
  const { current, signer, onlineExpiresMs: expiresMs, lastSigned = async () => new Map() } = input;
  const proposal = input.proposal ?? { name: 'refresh', drafts: [], base: new Map() };
  const known = authoritiesOf(proposal, current);
  requireNext(proposal, current);
  requireSigned(missingIn(proposal, known));
  const online = { known, signer };
  const last = await lastSigned();
  const next = (role: 'snapshot' | 'timestamp') => ({
    version: nextVersion(role, current?.[role].version ?? 0, last),
    expiresMs,
  });
  const snapshot = await signOnline(
    createDraft('snapshot', composeSnapshot(next('snapshot'), metaOf(proposal, current))),
    online,
  );
  const listed = { version: snapshot.version, ...referenceOf(encodeDraft(snapshot)) };
  const timestamp = await signOnline(
    createDraft('timestamp', composeTimestamp(next('timestamp'), listed, signedAt(input))),
    online,
  );
  return [...proposal.drafts, snapshot, timestamp].map(toFile);
}

/**
 * Nothing is written that a client would not accept: judges the repository as it will be, against what it
 * was.
 *
 * @throws {TufError}
 */
export function verifyChange(input: {
  trustedRoot: Uint8Array;
  files: ReadonlyMap<string, Uint8Array>;
  change: RepositoryChange;
  nowMs: number;
}): void {
  const files = new Map(input.files);
  for (const { name, bytes } of input.change) files.set(name, bytes);
  verifyRepository({ trustedRoot: input.trustedRoot, files, nowMs: input.nowMs });
}

function signedAt({ nowMs, current }: { nowMs: number; current: TrustedMetadata | undefined }): number {
  return Math.max(Math.floor(nowMs / 1000), current?.timestamp.signedAtSeconds ?? 1);
}

async function signOnline(
  draft: Draft,
  { known, signer }: { known: Authorities; signer: RoleSigner },
): Promise<Draft> {
  const signed = await signDraft(draft, known, signer);
  requireSigned(missingSignatures(signed, known));
  return signed;
}

function metaOf({ drafts }: Proposal, current: TrustedMetadata | undefined): ReadonlyMap<string, MetaFile> {
  const meta = new Map<string, MetaFile>();
  for (const [file, metaFile] of current?.snapshot.meta ?? [])
    meta.set(file.replace(/\.json$/, ''), metaFile);
  for (const draft of drafts)
    if (draft.role !== 'root')
      meta.set(draft.role, { version: draft.version, ...referenceOf(encodeDraft(draft)) });
  return meta;
}

function toFile(draft: Draft): MetadataFile {
  const name = draft.role === 'timestamp' ? 'timestamp.json' : versionedFile(draft.role, draft.version);
  return { name, bytes: encodeDraft(draft) };
}

/** Each file is the next version of its role. @throws {TufError} `tuf-proposal-outdated` */
export function requireNext(proposal: Pick<Proposal, 'drafts'>, current: TrustedMetadata | undefined): void {
  const [first] = describeOutdated(proposal, current);
  if (first !== undefined) throw new TufError('tuf-proposal-outdated', first);
}

/** A sentence for each file that is not the next version of its role. */
export function describeOutdated(
  { drafts }: Pick<Proposal, 'drafts'>,
  current: TrustedMetadata | undefined,
): readonly string[] {
  return drafts.flatMap(({ role, version }) => {
    const before = versionOf(role, current);
    if (version === before + 1) return [];
    return `${role} is at version ${before} by now, the proposal would make it ${version}: propose it again`;
  });
}

function versionOf(role: string, current: TrustedMetadata | undefined): number {
  if (current === undefined) return 0;
  if (role === 'root') return current.root.version;
  if (role === 'targets') return current.targets.version;
  return current.delegated.find(({ delegation }) => delegation.role === role)?.metadata.version ?? 0;
}

function requireSigned(missing: readonly MissingSignatures[]): void {
  const [first] = missing;
  if (first === undefined) return;
  throw new TufError('tuf-threshold-not-met', describeMissing(first));
}

export function describeMissing({ role, version, count, keyIds }: MissingSignatures): string {
  const which = keyIds.map((keyId) => keyId.slice(0, 12)).join(', ');
  return `${role} version ${version} needs ${count} more of these keys: ${which}`;
}
