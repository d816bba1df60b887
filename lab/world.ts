import { randomBytes, X509Certificate } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composeDemoInitramfs } from '../images/demo-os/layer.ts';
import { toHex } from '../src/core/bytes.ts';
import type { ReleaseListing } from '../src/signing/manifest.ts';
import { type BootServerProcess, findFreePort, startBootServerProcess } from './boot-server-process.ts';
import type { Cleanup } from './cleanup.ts';
import { runCommand } from './command.ts';
import { composeFirmwareVars } from './firmware-vars.ts';
import { LabError } from './lab-error.ts';
import { FIRMWARE_VARS_TEMPLATE, HOST_ADDRESS, type Machine, startMachine } from './machine.ts';
import {
  createSoftwareTpm,
  createTpmManufacturer,
  type SoftwareTpm,
  type TpmManufacturer,
} from './software-tpm.ts';

export const CHANNEL = 'demo';
export const RELEASE_NAME = 'demo release 1';
export const RELEASE_2_NAME = 'demo release 2';
const BUILD = join(import.meta.dirname, '../build');

/** One operator's whole setup, made with the commands that an operator uses. */
export interface World {
  folder: string;
  dataDir: string;
  repository: string;
  ports: { firmware: number; agents: number };
  manufacturer: TpmManufacturer;
  server(): BootServerProcess;
  startServer(): Promise<void>;
  /** `boot-admin` on this server's socket. */
  admin(...args: string[]): Promise<string>;
  /** `boot-sign` on this world's repository, with its passphrase; a command may be of two words. */
  sign(command: string, ...args: string[]): Promise<string>;
  /** The same for a command that needs no passphrase. */
  show(command: string): Promise<string>;
  /** The same as `sign` for a command that takes a file instead of a repository. */
  signFile(command: string, file: string, ...args: string[]): Promise<string>;
  /** `boot-sign sign` by whoever has the key; `env` for what its token needs. */
  signProposal(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<void>;
  publish(): Promise<void>;
  createTpm(name: string): Promise<SoftwareTpm>;
  /**
   * A machine whose owner enrolled our Secure Boot keys, our CA and a boot entry for `port`, and in db
   * `moreSigners` (certificates in DER).
   */
  startMachine(setup: {
    name: string;
    tpm: SoftwareTpm;
    port?: number;
    moreSigners?: readonly Uint8Array[];
    /** Goes on when its system reboots, as a machine on a shelf does. */
    allowReboot?: boolean;
    watchdog?: boolean;
  }): Promise<Machine>;
}

export async function createWorld(folder: string, cleanup: Cleanup): Promise<World> {
  const dataDir = join(folder, 'server');
  const repository = join(folder, 'repository');
  const socket = join(dataDir, 'operators.sock');
  const configFile = join(folder, 'boot-server.yaml');
  const passphraseFile = join(folder, 'passphrase');
  const ports = { firmware: await findFreePort(), agents: await findFreePort() };
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const vendors = join(folder, 'tpm-vendors');
  const manufacturer = createTpmManufacturer(join(folder, 'manufacturer'));
  await mkdir(vendors, { recursive: true });
  await writeFile(passphraseFile, `${toHex(randomBytes(16))}\n`, { mode: 0o600 });
  await writeFile(
    configFile,
    [
      'dataDir: server',
      `publicHosts: [${HOST_ADDRESS}, 127.0.0.1, localhost]`,
      `firmware: { host: 127.0.0.1, port: ${ports.firmware} }`,
      `agents: { host: 127.0.0.1, port: ${ports.agents} }`,
      'tpmVendors: [tpm-vendors]',
      `admission: { channel: ${CHANNEL} }`,
      'drainSeconds: 2',
      '',
    ].join('\n'),
  );

  let running: BootServerProcess | undefined;
  let machines = 0;
  const world: World = {
    folder,
    dataDir,
    repository,
    ports,
    manufacturer,
    server() {
      if (running === undefined) throw new LabError('server-failed', 'the boot server was not started');
      return running;
    },
    async startServer() {
      running = await startBootServerProcess(
        { configFile, logFile: join(folder, 'boot-server.log') },
        cleanup,
      );
    },
    admin: (...args) => runCommand('boot-admin', ['--socket', socket, ...args]),
    show: (command) => runCommand('boot-sign', [...command.split(' '), repository, '-o', 'json']),
    sign: (command, ...args) => world.signFile(command, repository, ...args),
    signFile: (command, file, ...args) =>
      runCommand('boot-sign', [
        ...command.split(' '),
        file,
        ...['-o', 'json', '--passphrase-file', passphraseFile],
        ...args,
      ]),
    async signProposal(file, args, env) {
      await runCommand('boot-sign', ['sign', file, '--passphrase-file', passphraseFile, ...args], env);
    },
    async publish() {
      await runCommand('boot-sign', ['publish', repository, '--socket', socket]);
    },
    createTpm: (name) => createSoftwareTpm(manufacturer, join(folder, 'tpms', name)),
    async startMachine({ name, tpm, port = ports.firmware, moreSigners = [], ...hardware }) {
      machines += 1;
      const machineFolder = join(folder, 'machines', `${machines}-${name}`);
      await mkdir(machineFolder, { recursive: true });
      const varsFile = join(machineFolder, 'vars.fd');
      const mac = `52:54:00:b0:07:${machines.toString(16).padStart(2, '0')}`;
      await writeFile(varsFile, await composeVars(world, { mac, port, moreSigners }));
      return startMachine({ name, folder: machineFolder, varsFile, tpm, mac, ...hardware }, cleanup);
    },
  };
  return world;
}

/** What is listed, as `boot-sign` said when it listed it. */
export interface Published {
  stage0: { sha256: string };
  release: Pick<ReleaseListing, 'channel' | 'version' | 'target' | 'sha256' | 'name'>;
}

/** Keys, stage-0 and release 1, published on the running server. */
export async function publishFirstRelease(
  world: World,
  { channels = [CHANNEL], plays }: { channels?: readonly string[]; plays?: string } = {},
): Promise<Published> {
  const grantKey = join(world.folder, 'grant-key.json');
  await writeFile(grantKey, await world.admin('grant-key'));
  // The cheapest key stretching: these keys live as long as this folder.
  const named = channels.flatMap((channel) => ['--channel', channel]);
  await world.sign('init', '--grant-key', grantKey, ...named, '--key-cost', '12');
  const stage0 = await signStage0(world, { build: 1 });
  const releases: Published['release'][] = [];
  for (const channel of channels)
    releases.push(
      await signRelease(world, { version: 1, name: RELEASE_NAME, channel, ...(plays && { plays }) }),
    );
  await world.publish();
  const [release] = releases;
  if (release === undefined) throw new LabError('command-failed', 'a world needs a channel');
  return { stage0, release };
}

/** Composes and signs a stage-0 for this world's server; with `saveOnly` it is signed but never listed. */
export async function signStage0(
  world: World,
  on: { build: number; cmdline?: string; saveOnly?: string; watchdogSeconds?: number },
): Promise<Published['stage0']> {
  const { build, cmdline, saveOnly, watchdogSeconds } = on;
  const said = await world.sign(
    'stage0',
    ...['--base', join(BUILD, 'stage0'), '--build', String(build), '--on-failure', 'poweroff'],
    ...['--server-url', `https://${HOST_ADDRESS}:${world.ports.agents}`],
    ...['--server-ca', join(world.dataDir, 'tls', 'ca.pem')],
    ...['--cmdline', cmdline ?? 'console=ttyS0 quiet panic=10'],
    ...(saveOnly === undefined ? [] : ['--sign-only', '--save', saveOnly]),
    ...(watchdogSeconds === undefined ? [] : ['--watchdog', String(watchdogSeconds)]),
  );
  return JSON.parse(said) as Published['stage0'];
}

/**
 * A demo release. What it plays once it runs (images/demo-os/init) is on its command line: unless told otherwise it
 * proves what runs, then its root asks for another grant.
 */
export async function signRelease(
  world: World,
  on: {
    version: number;
    name: string;
    channel?: string;
    plays?: string;
    /** Further files for its /etc/bootward. */
    files?: Readonly<Record<string, Uint8Array>>;
  },
): Promise<Published['release']> {
  const { version, name, channel = CHANNEL, plays = 'second-grant', files = {} } = on;
  const initramfsFile = join(world.folder, `initramfs-${channel}-${version}`);
  const base = await readFile(join(BUILD, 'demo-os', 'initramfs.cpio.zst'));
  const config = {
    'agent.conf': Buffer.from(`server_url=https://${HOST_ADDRESS}:${world.ports.agents}\n`),
    'server-ca.pem': await readFile(join(world.dataDir, 'tls', 'ca.pem')),
    'root.json': await readFile(join(world.repository, 'metadata', '1.root.json')),
    ...files,
  };
  await writeFile(initramfsFile, composeDemoInitramfs({ initramfs: base, name, config }));
  const said = await world.sign(
    'release',
    ...['--channel', channel, '--version', String(version), '--name', name, '--sign-kernel'],
    ...['--kernel', join(BUILD, 'demo-os', 'vmlinuz'), '--initramfs', initramfsFile],
    ...['--cmdline', `console=ttyS0 quiet panic=1 bootward.demo=${plays}`],
  );
  return JSON.parse(said) as Published['release'];
}

/** The manufacturer's CA exists once its first chip does; the server reads it at its next start. */
export async function acceptManufacturer(world: World): Promise<void> {
  for (const [index, file] of world.manufacturer.caFiles.entries())
    await copyFile(file, join(world.folder, 'tpm-vendors', `lab-${index}.pem`));
}

async function composeVars(
  world: World,
  setup: { mac: string; port: number; moreSigners: readonly Uint8Array[] },
): Promise<Uint8Array> {
  const secureBoot = join(world.repository, 'keys', 'secure-boot');
  const der = async (file: string) => new X509Certificate(await readFile(file)).raw;
  return composeFirmwareVars({
    template: await readFile(FIRMWARE_VARS_TEMPLATE),
    secureBoot: {
      pk: await der(join(secureBoot, 'PK.crt')),
      kek: await der(join(secureBoot, 'KEK.crt')),
      db: [await der(join(secureBoot, 'db.crt')), ...setup.moreSigners],
    },
    tlsCa: await der(join(world.dataDir, 'tls', 'ca.pem')),
    boot: { mac: setup.mac, url: `https://${HOST_ADDRESS}:${setup.port}/boot/x86-64/stage0.efi` },
    epochSeconds: Math.floor(Date.now() / 1000),
  });
}
