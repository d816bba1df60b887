import { type ChildProcess, fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import runtimeFlags from '../../bin/runtime-flags.json' with { type: 'json' };
import { createArtifactStore } from '../../src/storage/artifact-store.ts';

export const BODY_BYTES = 67_108_864;

export interface BenchWorld {
  folder: string;
  /** SHA-256 of the artifacts, each of 64 MiB. */
  artifacts: readonly string[];
  remove(): Promise<void>;
}

export async function createBenchWorld({ artifacts: count }: { artifacts: number }): Promise<BenchWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-bench-'));
  const store = await createArtifactStore({ folder: join(folder, 'artifacts') });
  const artifacts: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const body = randomBytes(BODY_BYTES);
    const sha256 = createHash('sha256').update(body).digest('hex');
    await store.put({ sha256, length: body.length, source: Readable.from([body]) });
    artifacts.push(sha256);
  }
  return { folder, artifacts, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface BenchServer {
  process: ChildProcess;
  urlOf(sha256: string): string;
  stop(): Promise<void>;
}

export async function startBenchServer({ folder }: BenchWorld): Promise<BenchServer> {
  const program = fileURLToPath(new URL('./bench-server.ts', import.meta.url));
  const server = fork(program, [folder], { execArgv: runtimeFlags['boot-server'] });
  const [{ port }] = (await once(server, 'message')) as [{ port: number }];
  return {
    process: server,
    urlOf: (sha256) => `https://127.0.0.1:${port}/artifacts/${sha256}`,
    async stop() {
      server.kill();
      await once(server, 'exit');
    },
  };
}
