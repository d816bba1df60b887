import { sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { parseRoot, rootFile } from '../../signing/tuf/root.ts';
import { type TrustedMetadata, verifyMetadata } from '../../signing/tuf/verify-metadata.ts';
import { decodeAdoption } from '../adoption-document.ts';
import { refuse } from '../errors.ts';
import { memoriesOf } from '../metadata-in-force.ts';

/** A root that the service has trusted since: by version, and SHA-256 of its canonical "signed" part. */
export interface TrustedRoot {
  readonly version: number;
  readonly sha256: string;
}

export const ADOPTION_ROLE = 'adoption';

/**
 * Metadata in force as the base to go on from: the whole of it, verified as a client does, by the chain from
 * the root that was trusted last. Old is no reason to refuse it, since renewing is what signing is for.
 *
 * @throws {RefusedError} `adoption-refused`
 */
export function judgeAdoption(
  untrustedText: string,
  trustedRoot: TrustedRoot | undefined,
): { version: number; roles: JsonObject } {
  if (trustedRoot === undefined)
    return refuse(
      'adoption-refused',
      'no root is known here: the state began without a repository, and no root was signed',
    );
  try {
    const files = decodeAdoption(untrustedText);
    const trusted = verifyFrom(trustedRoot, files);
    return { version: trusted.root.version, roles: memoriesOf(trusted, files) };
  } catch (cause) {
    return refuse('adoption-refused', messageOf(cause), cause);
  }
}

function verifyFrom(
  { version, sha256: expected }: TrustedRoot,
  files: ReadonlyMap<string, Uint8Array>,
): TrustedMetadata {
  const bytes = files.get(rootFile(version));
  if (bytes === undefined) throw new Error(`${rootFile(version)}, the root trusted last, is not there`);
  if (toHex(sha256(parseRoot(bytes).canonical)) !== expected)
    throw new Error(`${rootFile(version)} is not the root that was trusted last`);
  return verifyMetadata({ trustedRoot: bytes, files, nowMs: 0 });
}
