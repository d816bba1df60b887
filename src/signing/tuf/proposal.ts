import { asciiBytes, bytesEqual } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import { channelRole, isChannelName, STAGE0_ROLE } from '../names.ts';
import { verifySignature } from '../public-key.ts';
import type { RoleSignature, RoleSigner } from '../role-signer.ts';
import { type Authorities, keyOf, type MissingSignatures, missingSignatures } from './authority.ts';
import { createDraft, type Draft, encodeDraft, parseDraft, withSignatures } from './draft.ts';
import { TufError } from './errors.ts';
import { MAX_METADATA_BYTES, MAX_SIGNATURES } from './limits.ts';
import { baseOf, encodeBase, type ProposalBase, parseBase } from './proposal-base.ts';
import type { TrustedMetadata } from './verify-metadata.ts';

/**
 * Files that come into force together, and that people sign until each has its threshold: alone on one
 * machine, or by passing the proposal around as a file. Snapshot and timestamp are not among them: they are
 * made when it comes into force (finish-proposal.ts).
 */
export interface Proposal {
  /** Names the file it is kept in, such as `channel-demo-2`. */
  readonly name: string;
  readonly drafts: readonly Draft[];
  /** What was in force when it was proposed; empty for a new repository. */
  readonly base: ProposalBase;
}

const FORMAT = 'bootward-proposal-v1';
const NAME = /^[a-z0-9][a-z0-9-]{0,79}$/;
const MAX_DRAFTS = 64;
const MAX_BYTES = 4 * MAX_METADATA_BYTES.delegated;

export function createProposal(
  current: TrustedMetadata | undefined,
  files: readonly { role: string; signed: Draft['signed'] }[],
): Proposal {
  const drafts = files.map(({ role, signed }) => createDraft(role, signed));
  const [first] = drafts;
  if (first === undefined) return refuse('it changes nothing');
  const base = current === undefined ? new Map() : baseOf(current, drafts);
  return { name: `${first.role}-${first.version}`, drafts, base };
}

/** Who may sign, as the metadata in force say and the proposal itself. */
export function authoritiesOf(
  { drafts }: Proposal,
  current: Pick<TrustedMetadata, 'root' | 'targets'> | undefined,
): Authorities {
  return { root: current?.root, targets: current?.targets, drafts };
}

export function missingIn(proposal: Proposal, known: Authorities): readonly MissingSignatures[] {
  return proposal.drafts.flatMap((draft) => missingSignatures(draft, known));
}

/**
 * Has every file signed by whatever keys the signer has. A signature that does not verify is an error, not a
 * signature: whoever made it is broken or lies.
 */
export async function signProposal(
  proposal: Proposal,
  known: Authorities,
  signer: RoleSigner,
): Promise<Proposal> {
  const drafts: Draft[] = [];
  for (const draft of proposal.drafts) drafts.push(await signDraft(draft, known, signer));
  return { ...proposal, drafts };
}

/** @throws {TufError} `tuf-signature-invalid` */
export async function signDraft(draft: Draft, known: Authorities, signer: RoleSigner): Promise<Draft> {
  const keyIds = [...new Set(missingSignatures(draft, known).flatMap((missing) => missing.keyIds))];
  if (keyIds.length === 0) return draft;
  const signatures = await signer.sign({ role: draft.role, keyIds, canonical: draft.canonical });
  for (const signature of signatures) requireGood(draft, known, signature);
  return withSignatures(draft, signatures);
}

/**
 * Whoever can write a proposal's file can put anything under anybody's key id, or fill its list: what does
 * not verify is no signature, and stands in nobody's way.
 */
export function dropBadSignatures(
  proposal: Proposal,
  known: Authorities,
): { proposal: Proposal; dropped: number } {
  let dropped = 0;
  const drafts = proposal.drafts.map((draft) => {
    const unsigned = { ...draft, signatures: new Map() };
    const good = goodSignatures(draft, unsigned, known);
    dropped += draft.signatures.size - good.length;
    return withSignatures(unsigned, good);
  });
  return { proposal: { ...proposal, drafts }, dropped };
}

/** For people; nothing when there were none. */
export function describeDropped(name: string, dropped: number): readonly string[] {
  if (dropped === 0) return [];
  return [`DROPPED ${dropped} signatures of ${name} that do not verify: ask who has written to the file`];
}

/**
 * The same proposal with the signatures of both. Signatures that do not verify, or by keys that may not
 * sign, are left out.
 *
 * @throws {TufError} `tuf-proposal-invalid` when the two say different things
 */
export function mergeProposals(one: Proposal, other: Proposal, known: Authorities): Proposal {
  if (one.drafts.length !== other.drafts.length) refuseMerge(one);
  const drafts = one.drafts.map((draft) => {
    const twin = other.drafts.find(({ role }) => role === draft.role);
    if (twin === undefined || !bytesEqual(twin.canonical, draft.canonical)) return refuseMerge(one);
    return withSignatures(draft, goodSignatures(twin, draft, known));
  });
  return { ...one, drafts };
}

export function encodeProposal({ name, drafts, base }: Proposal): Uint8Array {
  const document = { format: FORMAT, name, files: drafts.map(toJson), base: encodeBase(base) };
  return asciiBytes(`${JSON.stringify(document, null, 1)}\n`);
}

function toJson(draft: Draft): JsonObject {
  const metadata = JSON.parse(Buffer.from(encodeDraft(draft)).toString()) as JsonObject;
  return { role: draft.role, metadata };
}

/** @throws {TufError} `tuf-proposal-invalid` */
export function parseProposal(bytes: Uint8Array): Proposal {
  const document = parseDocument(bytes);
  if (!isJsonObject(document) || document.format !== FORMAT) return refuse(`"format" is not ${FORMAT}`);
  const { name, files, base } = document;
  if (typeof name !== 'string' || !NAME.test(name)) return refuse('"name" is not a name');
  return { name, drafts: parseFiles(files), base: parseBase(base) };
}

function parseFiles(files: JsonValue | undefined): readonly Draft[] {
  if (!Array.isArray(files) || files.length === 0 || files.length > MAX_DRAFTS)
    return refuse(`"files" is not a list of 1 to ${MAX_DRAFTS}`);
  const drafts = files.map(parseFile);
  if (new Set(drafts.map(({ role }) => role)).size !== drafts.length)
    return refuse('"files" has a role twice');
  return drafts;
}

function parseFile(file: JsonValue): Draft {
  if (!isJsonObject(file) || typeof file.role !== 'string') return refuse('a file has no "role"');
  if (!isProposable(file.role)) refuse('a file is of a role that is never proposed');
  return parseDraft(file.role, asciiBytes(JSON.stringify(file.metadata)));
}

function isProposable(role: string): boolean {
  const channel = role.slice(channelRole('').length);
  return (
    ['root', 'targets', STAGE0_ROLE].includes(role) ||
    (role === channelRole(channel) && isChannelName(channel))
  );
}

function parseDocument(bytes: Uint8Array): JsonValue {
  try {
    return parseStrictJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 16 });
  } catch (cause) {
    return refuse(messageOf(cause));
  }
}

function requireGood(draft: Draft, known: Authorities, signature: RoleSignature): void {
  if (isGood(draft, known, signature)) return;
  throw new TufError(
    'tuf-signature-invalid',
    `${draft.role} version ${draft.version}: what came as the signature of key ${signature.keyId} is none`,
  );
}

function goodSignatures({ signatures }: Draft, draft: Draft, known: Authorities): readonly RoleSignature[] {
  return [...signatures]
    .map(([keyId, signature]): RoleSignature => ({ keyId, signature }))
    .filter((signature) => isGood(draft, known, signature));
}

function isGood(draft: Draft, known: Authorities, { keyId, signature }: RoleSignature): boolean {
  if (draft.signatures.size >= MAX_SIGNATURES) return false;
  const key = keyOf(draft, known, keyId);
  return key !== undefined && verifySignature(key, draft.canonical, signature);
}

function refuseMerge({ name }: Proposal): never {
  return refuse(`the other file does not say the same as ${name}: nothing was merged`);
}

function refuse(message: string): never {
  throw new TufError('tuf-proposal-invalid', `proposal: ${message}`);
}
