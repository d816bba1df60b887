import { bytesEqual, fromHex, sha256, toHex } from '../core/bytes.ts';
import { CodedError } from '../core/errors.ts';

/** What signed metadata says about some bytes: enough to fetch them from anywhere. */
export interface ArtifactReference {
  readonly sha256: string;
  readonly length: number;
}

export class ArtifactError extends CodedError<'artifact-length-mismatch' | 'artifact-hash-mismatch'> {}

export function referenceOf(bytes: Uint8Array): ArtifactReference {
  return { sha256: toHex(sha256(bytes)), length: bytes.length };
}

/**
 * Length and hash must both be what was signed: a length alone cuts off endless data, a hash alone leaves
 * the length field as something nobody checked.
 *
 * @throws {ArtifactError}
 */
export function verifyArtifact(expected: ArtifactReference, actual: ArtifactReference): void {
  if (actual.length !== expected.length)
    throw new ArtifactError(
      'artifact-length-mismatch',
      `expected ${expected.length} bytes, there are ${actual.length}`,
    );
  if (!bytesEqual(fromHex(actual.sha256), fromHex(expected.sha256)))
    throw new ArtifactError(
      'artifact-hash-mismatch',
      `expected SHA-256 ${expected.sha256}, it is ${actual.sha256}`,
    );
}
