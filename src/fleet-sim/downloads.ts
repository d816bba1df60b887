import { sha256, toHex } from '../core/bytes.ts';
import { artifactsIn, parseReleaseManifest } from '../signing/manifest.ts';
import { FleetError } from './fleet-error.ts';
import type { VirtualNode } from './virtual-node.ts';

/**
 * The manifest of a granted release and all that it names, each held against its hash and dropped.
 *
 * @returns how many bytes came
 * @throws {FleetError} `answer-unexpected`, `download-damaged`
 */
export async function downloadRelease(
  node: VirtualNode,
  { grant, digest }: { grant: string; digest: string },
): Promise<number> {
  const manifest = await download(node, grant, digest);
  let bytes = manifest.length;
  for (const { sha256: hash } of artifactsIn(parseReleaseManifest(manifest)))
    bytes += (await download(node, grant, hash)).length;
  return bytes;
}

async function download(node: VirtualNode, grant: string, hash: string): Promise<Uint8Array> {
  const { status, bytes } = await node.fetch(hash, grant);
  if (status !== 200)
    throw new FleetError('answer-unexpected', `artifact ${hash}: status ${status}, expected 200`);
  if (toHex(sha256(bytes)) !== hash)
    throw new FleetError('download-damaged', `artifact ${hash}: ${bytes.length} bytes of another hash came`);
  return bytes;
}
