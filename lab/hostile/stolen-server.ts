import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256, toHex } from '../../src/core/bytes.ts';
import type { ReleaseListing } from '../../src/signing/manifest.ts';
import type { World } from '../world.ts';
import type { StolenServer } from './agents-door.ts';

/** Everything the server has, and what it will say that a node gets. */
export async function stealServer(
  world: World,
  release: Pick<ReleaseListing, 'channel' | 'version' | 'target' | 'sha256' | 'name'>,
): Promise<StolenServer> {
  const { sha256: digest, ...listed } = release;
  const leaf = new X509Certificate(await readFile(join(world.dataDir, 'tls', 'agents.pem')));
  return {
    dataDir: world.dataDir,
    port: world.ports.agents,
    serverKey: toHex(sha256(leaf.publicKey.export({ type: 'spki', format: 'der' }))),
    release: { ...listed, digest },
    metadata: await readFolder(join(world.repository, 'metadata')),
    artifacts: await readFolder(join(world.repository, 'artifacts')),
  };
}

async function readFolder(folder: string): Promise<Map<string, Uint8Array>> {
  const names = await readdir(folder);
  const files = names.map(async (name) => [name, await readFile(join(folder, name))] as const);
  return new Map(await Promise.all(files));
}
