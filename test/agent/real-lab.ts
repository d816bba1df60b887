import { createPublicKey } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort, startBootServerProcess } from '../../lab/boot-server-process.ts';
import { createCleanup } from '../../lab/cleanup.ts';
import { runCommand } from '../../lab/command.ts';
import { createTpmManufacturer } from '../../lab/software-tpm.ts';
import { floorSettingsOf } from '../../src/cli/boot-sign/floor-settings.ts';
import { asciiBytes, sha256, toHex } from '../../src/core/bytes.ts';
import { SETTINGS_LINE } from '../../src/signing/efi/stage0-image.ts';
import { measureUki } from '../../src/signing/efi/uki-measurement.ts';
import { type TufKey, tufKeyOf } from '../../src/signing/public-key.ts';
import { buildTinyPe } from '../signing/efi/tiny-pe.ts';
import { type AgentRun, bakeSettings, type StartedAgent, startAgent } from './agent-run.ts';
import { type HostTpm, startHostTpm } from './host-tpm.ts';

/**
 * The real server in a process of its own, a repository made with `boot-sign`, and machines that are a
 * software TPM and a folder: what firmware would measure is extended by hand.
 */
export interface RealLab {
  readonly first: HostMachine;
  createMachine(name: string): Promise<HostMachine>;
  admin(...args: string[]): Promise<string>;
  importEk(fingerprint: string): Promise<void>;
  close(): void;
}

export interface HostMachine {
  readonly tpm: HostTpm;
  /** Power on, with what firmware and the stub of the listed stage-0 leave in PCR 4 and 11. */
  powerOn(): void;
  start(...command: string[]): StartedAgent;
  run(...command: string[]): Promise<AgentRun>;
  /** etc and run: what stage-0 carries, and what the agent keeps in RAM. */
  readonly folder: string;
  /** For the firmware's log of the next run. */
  readonly eventLog: string;
}

const CHANNEL = 'lab';

export async function openRealLab(): Promise<RealLab> {
  const cleanup = createCleanup();
  const folder = cleanup.createFolder('agent');
  const vendors = join(folder, 'vendors');
  const socket = join(folder, 'server', 'operators.sock');
  mkdirSync(vendors);
  const manufacturer = createTpmManufacturer(join(folder, 'manufacturer'));
  // The manufacturer's CA exists once its first chip does, and the server reads it when it starts.
  const firstTpm = await startHostTpm({ manufacturer, folder: makeFolder(folder, 'first-tpm') }, cleanup);
  for (const [index, file] of manufacturer.caFiles.entries())
    copyFileSync(file, join(vendors, `vendor-${index}.pem`));
  const port = await findFreePort();
  const configFile = join(folder, 'boot-server.yaml');
  writeFileSync(configFile, await serverConfig(port));
  await startBootServerProcess({ configFile, logFile: join(folder, 'server.log') }, cleanup);
  const image = await publish(folder, { socket, port });

  function machineOf(name: string, tpm: HostTpm): HostMachine {
    const home = makeFolder(folder, name);
    const eventLog = join(home, 'event-log');
    bakeSettings({
      folder: home,
      serverUrl: `https://127.0.0.1:${port}`,
      serverCa: readFileSync(join(folder, 'server/tls/ca.pem'), 'latin1'),
      tufRoot: readFileSync(join(folder, 'repository/metadata/1.root.json')),
      floor: floorSettingsOf(readFloorKey(join(folder, 'repository/metadata'))),
    });
    const start = (...command: string[]) =>
      startAgent({ folder: home, tcti: tpm.tcti, eventLog }, ...command);
    return {
      ...{ tpm, eventLog, start, folder: home },
      powerOn() {
        tpm.reset();
        for (const { pcr, digest } of measurementsOf(image)) tpm.extend(pcr, toHex(digest));
      },
      run: (...command) => start(...command).ended,
    };
  }

  const admin = (...args: string[]) => runCommand('boot-admin', ['--socket', socket, ...args]);
  return {
    first: machineOf('first', firstTpm),
    async createMachine(name) {
      const tpm = await startHostTpm({ manufacturer, folder: makeFolder(folder, `${name}-tpm`) }, cleanup);
      return machineOf(name, tpm);
    },
    admin,
    async importEk(fingerprint) {
      const file = join(folder, 'ek.txt');
      writeFileSync(file, fingerprint);
      await admin('ek', 'import', file, '--channel', CHANNEL);
    },
    close: cleanup.close,
  };
}

async function serverConfig(port: number): Promise<string> {
  return [
    'dataDir: server',
    `firmware: { port: ${await findFreePort()} }`,
    `agents: { port: ${port} }`,
    'tpmVendors: [vendors]',
    `admission: { channel: ${CHANNEL} }`,
    'policy: { eventLog: optional }',
    'drainSeconds: 1',
    '',
  ].join('\n');
}

/** Keys, a stage-0 of small parts, and a release; answers the signed stage-0 image. */
async function publish(folder: string, on: { socket: string; port: number }): Promise<Uint8Array> {
  const repository = join(folder, 'repository');
  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const passphrase = ['--passphrase-file', file('passphrase', 'correct horse battery staple\n')];
  const sign = (command: string, ...args: string[]) =>
    runCommand('boot-sign', [command, repository, ...passphrase, ...args]);
  const grantKey = file(
    'grant-key.json',
    await runCommand('boot-admin', ['--socket', on.socket, 'grant-key']),
  );
  await sign('init', '--grant-key', grantKey, '--channel', CHANNEL, '--key-cost', '12');
  const base = makeFolder(folder, 'base');
  for (const name of ['linuxx64.efi.stub', 'vmlinuz']) file(`base/${name}`, buildTinyPe());
  file('base/initramfs.cpio.zst', 'an initramfs');
  file('base/os-release', `ID=lab\n${SETTINGS_LINE}\n`);
  await sign(
    'stage0',
    ...['--base', base, '--build', '1', '--server-url', `https://127.0.0.1:${on.port}`],
    ...['--server-ca', join(folder, 'server/tls/ca.pem'), '--save', join(folder, 'stage0.efi')],
  );
  await sign(
    'release',
    ...['--channel', CHANNEL, '--version', '1', '--name', 'lab release 1', '--cmdline', 'console=ttyS0'],
    ...[
      '--kernel',
      file('kernel', 'k'.repeat(300_000)),
      '--initramfs',
      file('initramfs', 'i'.repeat(700_001)),
    ],
  );
  await runCommand('boot-sign', ['publish', repository, '--socket', on.socket]);
  return readFileSync(join(folder, 'stage0.efi'));
}

/** As the listing of the one stage-0 has it, which is as its image has it. */
function readFloorKey(metadata: string): TufKey {
  const files = readdirSync(metadata).filter((name) => name.endsWith('.stage0.json'));
  const file = files.sort().at(-1) ?? 'none';
  const { signed } = JSON.parse(readFileSync(join(metadata, file), 'utf8')) as {
    signed: { targets: Record<string, { custom: { floorKey: string } }> };
  };
  const [target] = Object.values(signed.targets);
  const key = Buffer.from(target?.custom.floorKey ?? '', 'base64');
  return tufKeyOf(createPublicKey({ key, format: 'der', type: 'spki' }));
}

/** What firmware extends into PCR 4 under Secure Boot, and systemd-stub 252 into PCR 11. */
function measurementsOf(image: Uint8Array): { pcr: number; digest: Uint8Array }[] {
  const { authenticodeSha256, sections } = measureUki(image);
  const action = sha256(asciiBytes('Calling EFI Application from Boot Option'));
  const separator = sha256(new Uint8Array(4));
  const stub = sections.flatMap(({ name, sha256: content }) => [sha256(asciiBytes(`${name}\0`)), content]);
  return [
    ...[action, separator, authenticodeSha256].map((digest) => ({ pcr: 4, digest })),
    ...stub.map((digest) => ({ pcr: 11, digest })),
  ];
}

function makeFolder(parent: string, name: string): string {
  const folder = join(parent, name);
  mkdirSync(folder);
  return folder;
}
