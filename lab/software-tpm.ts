import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Cleanup } from './cleanup.ts';
import { LabError } from './lab-error.ts';

/** A certificate authority for EK certificates, as a TPM manufacturer has one. */
export interface TpmManufacturer {
  folder: string;
  /** Root and issuing CA, PEM: what an operator accepts as a vendor. */
  caFiles: readonly string[];
}

/** The state of one TPM 2.0: RSA-2048 and P-384 EK, each with a certificate in NV. */
export interface SoftwareTpm {
  stateFolder: string;
  manufacturer: TpmManufacturer;
  /** Of the RSA-2048 EK, as a vendor's delivery list would hold it. */
  ekCertificateFile: string;
}

export interface RunningTpm {
  /** For QEMU: the control socket. For tools on this host: also a TCTI string. */
  controlSocket: string;
  tcti: string;
  pid: number;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const START_SECONDS = 10;

export function createTpmManufacturer(folder: string): TpmManufacturer {
  const base = resolve(folder);
  const state = join(base, 'state');
  mkdirSync(state, { recursive: true });
  const lines = [
    `statedir = ${state}`,
    `signingkey = ${state}/signkey.pem`,
    `issuercert = ${state}/issuercert.pem`,
  ];
  writeFileSync(join(base, 'localca.conf'), `${[...lines, `certserial = ${state}/certserial`].join('\n')}\n`);
  const options = [
    '--platform-manufacturer bootward-lab',
    '--platform-version 1',
    '--platform-model software',
  ];
  writeFileSync(join(base, 'localca.options'), `${options.join('\n')}\n`);
  const setup = [
    'create_certs_tool = swtpm_localca',
    `create_certs_tool_config = ${base}/localca.conf`,
    `create_certs_tool_options = ${base}/localca.options`,
    'active_pcr_banks = sha256',
  ];
  writeFileSync(join(base, 'setup.conf'), `${setup.join('\n')}\n`);
  return {
    folder: base,
    caFiles: [join(state, 'swtpm-localca-rootca-cert.pem'), join(state, 'issuercert.pem')],
  };
}

/** Makes a new chip in `stateFolder`, whatever was there before. The manufacturer's CA is made by the first. */
export async function createSoftwareTpm(
  manufacturer: TpmManufacturer,
  stateFolder: string,
): Promise<SoftwareTpm> {
  const folder = resolve(stateFolder);
  mkdirSync(folder, { recursive: true });
  const certificates = ['--create-ek-cert', '--create-platform-cert', '--lock-nvram', '--overwrite'];
  const setup = [
    '--tpm2',
    '--tpmstate',
    folder,
    '--config',
    join(manufacturer.folder, 'setup.conf'),
    ...certificates,
    '--write-ek-cert-files',
    folder,
  ];
  try {
    await run('swtpm_setup', setup);
  } catch (cause) {
    throw new LabError(
      'tpm-failed',
      `swtpm_setup failed: ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    );
  }
  return { stateFolder: folder, manufacturer, ekCertificateFile: join(folder, 'ek-rsa2048.crt') };
}

/**
 * Powers the chip for a virtual machine: it waits on a control socket, and QEMU passes the rest. It ends
 * with the machine, or with `stop`, or with the lab.
 */
export function startTpmForMachine(tpm: SoftwareTpm, folder: string, cleanup: Cleanup): Promise<RunningTpm> {
  const controlSocket = join(resolve(folder), 'tpm.sock');
  return start(tpm, cleanup, {
    controlSocket,
    tcti: '',
    args: ['--ctrl', `type=unixio,path=${controlSocket}`],
  });
}

/** Powers the chip for tools on this host, which reach it by `tcti`. It starts up by itself. */
export function startTpmForTools(tpm: SoftwareTpm, folder: string, cleanup: Cleanup): Promise<RunningTpm> {
  // tpm2-tss expects the control channel beside the command socket, under its name with ".ctrl".
  const server = join(resolve(folder), 'tpm-tools.sock');
  const controlSocket = `${server}.ctrl`;
  const sockets = ['--server', `type=unixio,path=${server}`, '--ctrl', `type=unixio,path=${controlSocket}`];
  const args = [...sockets, '--flags', 'not-need-init,startup-clear'];
  return start(tpm, cleanup, { controlSocket, tcti: `swtpm:path=${server}`, args });
}

async function start(
  tpm: SoftwareTpm,
  cleanup: Cleanup,
  { controlSocket, tcti, args }: { controlSocket: string; tcti: string; args: readonly string[] },
): Promise<RunningTpm> {
  rmSync(controlSocket, { force: true });
  const all = ['socket', '--tpm2', '--tpmstate', `dir=${tpm.stateFolder}`, ...args];
  // A file, no pipe: it says a line for each client, and would wait for a reader that is busy itself.
  const log = openSync(join(tpm.stateFolder, 'swtpm.log'), 'w+');
  const child = cleanup.ownChild(spawn('swtpm', all, { stdio: ['ignore', 'ignore', log] }));
  const ended = endOf(child);
  for (let tries = 0; !isListening(controlSocket); tries += 1) {
    if (child.exitCode !== null || child.pid === undefined || tries > START_SECONDS * 50)
      throw new LabError('tpm-failed', `swtpm does not start: see ${join(tpm.stateFolder, 'swtpm.log')}`);
    await delay(20);
  }
  closeSync(log);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    rmSync(controlSocket, { force: true });
  };
  return { controlSocket, tcti, pid: child.pid ?? 0, stop };
}

/** A socket's file is there a moment before anybody listens. The kernel's flag for that is SO_ACCEPTCON. */
function isListening(socket: string): boolean {
  const lines = readFileSync('/proc/net/unix', 'latin1').split('\n');
  return lines.some((line) => line.endsWith(` ${socket}`) && line.split(' ')[3] === '00010000');
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolveEnd) => {
    child.once('error', () => resolveEnd());
    child.once('exit', () => resolveEnd());
  });
}
