import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { download, type Measurement, residentMegabytesOf } from './bench-process.ts';
import { createBenchWorld, startBenchServer } from './bench-world.ts';
import { installCopy } from './installed-copy.ts';

const DOWNLOADS = 20;

/** Resident memory of the whole server when idle, and of the delivery path under twenty downloads at once. */
export async function benchMemory(): Promise<Measurement[]> {
  return [
    {
      name: 'idle server, MB (installed package)',
      value: (await idleMegabytes()).toFixed(0),
      aim: '≤ 130',
    },
    {
      name: '20 downloads of one 64 MiB artifact, peak MB',
      value: (await peakMegabytes(1)).toFixed(0),
      aim: '≤ 300',
    },
    {
      name: '20 downloads of 20 different artifacts, peak MB',
      value: (await peakMegabytes(DOWNLOADS)).toFixed(0),
      aim: '≤ 300',
    },
  ];
}

/** The second start: the first also makes certificates. */
async function idleMegabytes(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-bench-'));
  const copy = await installCopy();
  try {
    const program = join(copy, 'bin', 'boot-server.mjs');
    await startedServerMegabytes(program, folder);
    return await startedServerMegabytes(program, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rm(dirname(copy), { recursive: true, force: true });
  }
}

async function startedServerMegabytes(program: string, folder: string): Promise<number> {
  const socket = join(folder, 'operators.sock');
  const environment = {
    BOOTWARD_DATA_DIR: folder,
    BOOTWARD_OPERATORS_SOCKET: socket,
    BOOTWARD_FIRMWARE_PORT: '0',
    BOOTWARD_AGENTS_PORT: '0',
  };
  const server = spawn(process.execPath, [program], {
    env: { ...process.env, ...environment },
    stdio: 'ignore',
  });
  try {
    for (let waited = 0; !existsSync(socket) && waited < 10_000; waited += 50) await delay(50);
    await delay(1000);
    return residentMegabytesOf(server).now;
  } finally {
    if (server.exitCode === null && server.kill()) await once(server, 'exit');
  }
}

async function peakMegabytes(artifacts: number): Promise<number> {
  const world = await createBenchWorld({ artifacts });
  const server = await startBenchServer(world);
  try {
    const urls = Array.from({ length: DOWNLOADS }, (_, n) =>
      server.urlOf(world.artifacts[n % artifacts] ?? ''),
    );
    await Promise.all(urls.map((url) => download([url])));
    return residentMegabytesOf(server.process).peak;
  } finally {
    await server.stop();
    await world.remove();
  }
}

if (import.meta.main) console.table(await benchMemory());
