import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** swtpm with a certified EK, in a process of its own: the TPM of a machine that is not there. */
export interface SoftwareTpm {
  /** For TPM2TOOLS_TCTI. */
  readonly tcti: string;
  /** The CA that certified the EK, PEM. */
  readonly vendorCaFiles: readonly string[];
  /** What power does: PCRs to zero, the reset count up by one. */
  reset(): void;
  extend(pcr: number, digestHex: string): void;
  pcr(index: number): string;
  run(...command: string[]): string;
  stop(): Promise<void>;
}

export async function startSoftwareTpm(folder: string): Promise<SoftwareTpm> {
  const state = join(folder, 'state');
  const vendor = join(folder, 'vendor');
  mkdirSync(state, { recursive: true });
  mkdirSync(vendor, { recursive: true });
  manufacture(state, vendor);
  const socket = join(folder, 'tpm.sock');
  const control = `${socket}.ctrl`;
  const process_ = spawnSwtpm(state, socket, control);
  await until(() => existsSync(socket) && existsSync(control));
  const tcti = `swtpm:path=${socket}`;
  const run = (...command: string[]): string =>
    execFileSync('tpm2', command, {
      env: { ...process.env, TPM2TOOLS_TCTI: tcti },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    tcti,
    vendorCaFiles: ['issuercert.pem', 'swtpm-localca-rootca-cert.pem'].map((name) => join(vendor, name)),
    reset() {
      execFileSync('swtpm_ioctl', ['--unix', control, '-i']);
      run('startup', '-c');
    },
    extend: (pcr, digestHex) => void run('pcrextend', `${pcr}:sha256=${digestHex}`),
    pcr: (index) => /0x([0-9A-F]{64})/.exec(run('pcrread', `sha256:${index}`))?.[1]?.toLowerCase() ?? '',
    run,
    async stop() {
      process_.kill('SIGTERM');
      await until(() => process_.exitCode !== null || process_.signalCode !== null);
    },
  };
}

function manufacture(state: string, vendor: string): void {
  const configuration = {
    statedir: vendor,
    signingkey: join(vendor, 'signkey.pem'),
    issuercert: join(vendor, 'issuercert.pem'),
    certserial: join(vendor, 'certserial'),
  };
  const ca = join(vendor, 'localca.conf');
  const options = join(vendor, 'localca.options');
  const setup = join(vendor, 'setup.conf');
  writeFileSync(ca, lines(configuration));
  writeFileSync(options, '--platform-manufacturer test\n--platform-version 1\n--platform-model host\n');
  writeFileSync(
    setup,
    lines({
      create_certs_tool: '/usr/bin/swtpm_localca',
      create_certs_tool_config: ca,
      create_certs_tool_options: options,
      active_pcr_banks: 'sha256',
    }),
  );
  execFileSync(
    'swtpm_setup',
    ['--tpm2', '--tpmstate', state, '--config', setup, '--create-ek-cert', '--lock-nvram', '--overwrite'],
    { stdio: 'pipe' },
  );
}

function lines(entries: Record<string, string>): string {
  return Object.entries(entries)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('');
}

function spawnSwtpm(state: string, socket: string, control: string): ChildProcess {
  return spawn(
    'swtpm',
    [
      ...['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'not-need-init,startup-clear'],
      ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${control}`],
    ],
    { stdio: 'ignore' },
  );
}

export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (condition()) return;
    await sleep(20);
  }
  throw new Error('waited ten seconds in vain');
}
