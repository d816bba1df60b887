import { spawn } from 'node:child_process';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canonicalize } from '@tufjs/canonical-json';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/boot-signer/config.ts';
import { initialiseState } from '../../src/boot-signer/initialise.ts';
import { asciiBytes } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { createKeyFile } from '../../src/signing/keys/key-file.ts';
import { createPrivateKeyFor, publicKeyOf, type Scheme } from '../../src/signing/public-key.ts';
import { createKeySigner, type Signer } from '../../src/signing/signer.ts';
import { composeDelegated, composeSnapshot, composeTimestamp } from '../../src/signing/tuf/compose.ts';

const PASSPHRASE = 'correct horse battery staple';
const HOUR_MS = 3_600_000;
const HOLDER = fileURLToPath(new URL('./service-holder.ts', import.meta.url));

const RUN = fileURLToPath(new URL('../../src/boot-signer/key-process/run.ts', import.meta.url));
const stepHook = ({ step, time }: Fault): string =>
  `((left) => (name) => { if (name === ${JSON.stringify(step)} && --left === 0) process.kill(process.pid, 'SIGKILL'); })(${time})`;

export const pemOf = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

/** Someone who approves, with as many keys as they have. */
export class Approver {
  readonly signers: readonly Signer[];
  readonly person: string;

  constructor(person: string, schemes: readonly Scheme[] = ['ed25519']) {
    this.person = person;
    this.signers = schemes.map((scheme) => createKeySigner(createPrivateKeyFor(scheme)));
  }

  get publicKeys(): string[] {
    return this.signers.map(({ key }) =>
      pemOf(createPublicKey(publicKeyOf(key).export({ type: 'spki', format: 'pem' }))),
    );
  }
}

/** What makes the service stop dead: at the n-th time that a step is reached. */
export interface Fault {
  readonly process: 'front' | 'key';
  readonly step: string;
  readonly time: number;
}

/** A folder with keys, a configuration and a state, and the service as a real process on it. */
export class ServiceFolder {
  readonly folder = mkdtempSync(join(tmpdir(), 'bootward-signer-'));
  readonly socketPath = join(this.folder, 's.sock');
  readonly configFile = join(this.folder, 'config.yaml');
  readonly logFile = join(this.folder, 'state', 'audit.jsonl');
  readonly anchorFile = join(this.folder, 'state', 'audit.anchor');
  readonly signers = new Map<string, Signer>();

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  async addKey(name: string, scheme: Scheme = 'ed25519'): Promise<Signer> {
    const path = join(this.folder, `${name}.json`);
    const signer = await createKeyFile({ path, passphrase: PASSPHRASE, logN: 14, scheme });
    writeFileSync(join(this.folder, 'passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 });
    this.signers.set(name, signer);
    return signer;
  }

  keyIds(...names: string[]): string[] {
    return names.map((name) => this.signers.get(name)?.keyId ?? name);
  }

  configure(parts: Record<string, unknown>): void {
    const keys = [...this.signers.keys()].map((name) => ({
      name,
      reference: `file:${name}.json`,
      secret: 'file:passphrase',
      signaturesPerMinute: 100_000,
    }));
    const config = {
      stateDir: 'state',
      socket: { path: 's.sock', mode: '0600' },
      logLevel: 'silent',
      keys,
      ...parts,
    };
    writeFileSync(this.configFile, JSON.stringify(config));
  }

  async initialise(repository?: string): Promise<void> {
    await initialiseState(loadConfig(this.configFile), {
      nowMs: Date.now(),
      ...(repository !== undefined && { repository }),
    });
  }

  audit(): Buffer {
    return readFileSync(this.logFile);
  }

  /** A key process that does something else beside; its folder is all that it is allowed to read more. */
  writeKeyProcess(step: string, before = ''): string {
    const path = join(this.folder, 'key-process.ts');
    const source = `import { runKeyProcess } from ${JSON.stringify(RUN)};
${before}
await runKeyProcess({ configFile: process.argv[2], environment: process.env, step: ${step} });
`;
    writeFileSync(path, source);
    return path;
  }

  /** Starts the service and waits until it answers, or until it has ended. */
  async start({ fault, keyProcess }: { fault?: Fault; keyProcess?: string } = {}): Promise<RunningService> {
    const frontFault = fault?.process === 'front' ? JSON.stringify(fault) : '';
    const entry = fault?.process === 'key' ? this.writeKeyProcess(stepHook(fault)) : (keyProcess ?? '');
    const args = [HOLDER, this.configFile, frontFault, entry];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const ended = new Promise<number | string>((resolve) =>
      child.once('close', (code, signal) => resolve(code ?? signal ?? '')),
    );
    const ready = new Promise<Record<string, number>>((resolve) => {
      let text = '';
      child.stdout.on('data', (chunk) => {
        text += chunk;
        if (text.includes('\n')) resolve(JSON.parse(text));
      });
    });
    const started = await Promise.race([ready, ended.then(() => undefined)]);
    const stop = async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
    };
    onTestFinished(stop);
    return {
      pid: child.pid ?? 0,
      keyProcessPid: started?.keyProcessPid ?? 0,
      port: started?.port ?? 0,
      isReady: started !== undefined,
      ended,
      stop,
      stderr: () => stderr,
    };
  }
}

export interface RunningService {
  readonly pid: number;
  readonly keyProcessPid: number;
  readonly port: number;
  readonly isReady: boolean;
  readonly ended: Promise<number | string>;
  readonly stderr: () => string;
  stop(): Promise<void>;
}

const at = (version: number, hours = 24) => ({
  version,
  expiresMs: Math.floor(Date.now() / 1000) * 1000 + hours * HOUR_MS,
});
const HASH = 'ab'.repeat(32);

export const canonicalOf = (signed: JsonObject): Uint8Array => asciiBytes(canonicalize(signed));

export function timestampOf(
  version: number,
  snapshotVersion = version,
  hours = 24,
  signedAtSeconds?: number,
): JsonObject {
  const snapshot = { version: snapshotVersion, length: 100, sha256: HASH };
  return composeTimestamp(at(version, hours), snapshot, signedAtSeconds);
}

export function snapshotOf(version: number, listed: Record<string, number>): JsonObject {
  const meta = Object.entries(listed).map(
    ([role, listedVersion]) => [role, { version: listedVersion, length: 100, sha256: HASH }] as const,
  );
  return composeSnapshot(at(version), new Map(meta));
}

export function channelOf(channel: string, version: number, releases: Record<number, string>): JsonObject {
  const targets = Object.entries(releases).map(([release, sha256]) => [
    `channels/${channel}/${release}.json`,
    {
      length: 10,
      hashes: { sha256 },
      custom: { version: Number(release), architecture: 'x86-64', name: `release ${release}` },
    },
  ]);
  return composeDelegated(at(version), Object.fromEntries(targets));
}
