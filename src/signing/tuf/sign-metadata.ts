import { canonicalize } from '@tufjs/canonical-json';
import { Metadata, MetadataKind, Signature } from '@tufjs/models';
import { asciiBytes, toHex } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import type { Signer } from '../signer.ts';
import type { MetadataType } from './envelope.ts';

const KINDS = {
  root: MetadataKind.Root,
  timestamp: MetadataKind.Timestamp,
  snapshot: MetadataKind.Snapshot,
  targets: MetadataKind.Targets,
} as const;

/**
 * The bytes of a metadata file. `@tufjs/models` reads what is to be signed and writes the file, so that
 * its shape is what other TUF implementations mean by it; our own strict reader then judges the result.
 */
export async function signMetadata(
  type: MetadataType,
  signed: JsonObject,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const metadata = readModel(type, { signed, signatures: [] });
  const canonical = asciiBytes(canonicalize(metadata.signed.toJSON()));
  for (const signer of signers) {
    const sig = toHex(await signer.sign(canonical));
    metadata.signatures[signer.keyId] = new Signature({ keyID: signer.keyId, sig });
  }
  return asciiBytes(`${JSON.stringify(metadata.toJSON(), null, 1)}\n`);
}

/** One call by kind: the models overload `fromJSON` and do not take a union. */
function readModel(type: MetadataType, data: JsonObject) {
  switch (type) {
    case 'root':
      return Metadata.fromJSON(KINDS.root, data);
    case 'timestamp':
      return Metadata.fromJSON(KINDS.timestamp, data);
    case 'snapshot':
      return Metadata.fromJSON(KINDS.snapshot, data);
    case 'targets':
      return Metadata.fromJSON(KINDS.targets, data);
  }
}
