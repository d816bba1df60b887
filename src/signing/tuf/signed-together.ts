import { asciiBytes, sha256, toHex } from '../../core/bytes.ts';
import type { Draft } from './draft.ts';
import { TufError } from './errors.ts';
import type { Proposal } from './proposal.ts';
import type { TrustedMetadata } from './verify-metadata.ts';

type SignedFile = Pick<Draft, 'role' | 'version' | 'canonical'>;

const FORMAT = 'bootward-signed-together-v1';

/**
 * SHA-256 of all that is signed with a proposal, in hex: what people in different places compare. One file of it is
 * not enough: whoever composes could give everybody the same root, and a targets.json with keys of their own.
 *
 * Hashed is a line of format and number of files; then for each file, by the ASCII order of their roles, a line of
 * role, version and length, and what its signatures are over. No two proposals give the same bytes.
 */
export function signedTogetherSha256(files: readonly SignedFile[]): string {
  const ordered = files.toSorted((one, other) => (one.role < other.role ? -1 : 1));
  const parts = ordered.flatMap(({ role, version, canonical }) => [
    asciiBytes(`${role} ${version} ${canonical.length}\n`),
    canonical,
  ]);
  return toHex(sha256(asciiBytes(`${FORMAT} ${files.length}\n`), ...parts));
}

/** For people, wherever a proposal is shown. */
export function describeSignedTogether(sha256Hex: string): string {
  return `SHA-256 of all that is signed here: ${sha256Hex}`;
}

/** @throws {TufError} `tuf-proposal-unexpected` when it is another one than somebody looked at */
export function requireExpected({ name, drafts }: Proposal, expectedSha256: string): void {
  const found = signedTogetherSha256(drafts);
  if (found === expectedSha256) return;
  throw new TufError(
    'tuf-proposal-unexpected',
    `${name} is not the proposal that you looked at: all that is signed here has SHA-256 ${found}, expected was ${expectedSha256}; nothing was signed: look at it with --dry-run, and ask who has changed it`,
  );
}

/**
 * The same of a repository in force, while it is what people signed when it was made. Later versions come in other
 * proposals, and there is no one hash to compare any more.
 */
export function firstSignedTogetherSha256(trusted: TrustedMetadata): string | undefined {
  const { root, targets, delegated } = trusted;
  const files = [root, targets, ...delegated.map(({ metadata }) => metadata)];
  return files.every(({ version }) => version === 1) ? signedTogetherSha256(files) : undefined;
}
