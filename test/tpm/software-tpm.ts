import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A real TPM 2.0 in a process of its own (swtpm), driven with tpm2-tools. */
export interface SoftwareTpm {
  folder: string;
  /** On 127.0.0.1. */
  ports: { command: number; control: number };
  run(tool: string, ...args: string[]): string;
  read(name: string): Uint8Array;
  write(name: string, bytes: Uint8Array): string;
  stop(): void;
}

export function hasSoftwareTpm(): boolean {
  return ['swtpm', 'tpm2_createek'].every((tool) => spawnSync(tool, ['--version']).error === undefined);
}

export async function startSoftwareTpm(): Promise<SoftwareTpm> {
  const folder = mkdtempSync(join(tmpdir(), 'bootward-tpm-'));
  const [port, control] = await freePorts();
  const child = spawn(
    'swtpm',
    [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${folder}`,
      '--server',
      `type=tcp,port=${port},bindaddr=127.0.0.1`,
      '--ctrl',
      `type=tcp,port=${control},bindaddr=127.0.0.1`,
      '--flags',
      'not-need-init,startup-clear',
    ],
    { stdio: 'ignore' },
  );
  const run = (tool: string, ...args: string[]) =>
    execFileSync(tool, args, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TPM2TOOLS_TCTI: `swtpm:host=127.0.0.1,port=${port}` },
    });
  await untilReady(run, child);
  return {
    folder,
    ports: { command: port, control },
    run,
    read: (name) => new Uint8Array(readFileSync(join(folder, name))),
    write: (name, bytes) => {
      writeFileSync(join(folder, name), bytes);
      return name;
    },
    stop: () => {
      child.kill();
      if (existsSync(folder)) rmSync(folder, { recursive: true });
    },
  };
}

async function untilReady(run: SoftwareTpm['run'], child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    try {
      run('tpm2_getrandom', '--hex', '4');
      return;
    } catch {
      if (child.exitCode !== null) throw new Error('swtpm ended');
      await sleep(100);
    }
  }
  throw new Error('swtpm does not answer');
}

/** tpm2-tools expect the control channel on the port after the command channel. */
async function freePorts(): Promise<[number, number]> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = await reserve(0);
    if (port !== undefined && (await reserve(port + 1)) !== undefined) return [port, port + 1];
  }
  throw new Error('no two free ports in a row');
}

function reserve(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}
