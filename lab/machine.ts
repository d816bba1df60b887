import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { NETWORK_CARD_SLOT } from './http-boot-entry.ts';
import { LabError } from './lab-error.ts';
import { type ConsoleLine, followConsole } from './serial-console.ts';
import { type SoftwareTpm, startTpmForMachine } from './software-tpm.ts';

export interface MachineSetup {
  name: string;
  /** For the serial log and the sockets; kept when the machine ends. */
  folder: string;
  /** Its variable store: firmware writes to it, so one file per machine. */
  varsFile: string;
  tpm: SoftwareTpm;
  mac: string;
  memoryMib?: number;
  /** The machine goes on after the guest reboots; else a reboot ends it. */
  allowReboot?: boolean;
  /** It has an i6300esb, which resets it when it is armed and nobody feeds it. */
  watchdog?: boolean;
}

/** A machine that is powered on: QEMU with OVMF, no disk, one network card, a TPM 2.0. */
export interface Machine {
  name: string;
  serialLog: string;
  pid: number;
  /** The serial console so far. */
  lines(): readonly ConsoleLine[];
  /** The first line that matches, with the seconds since power-on; see SerialConsole. */
  waitFor(pattern: RegExp, timeoutSeconds: number): Promise<ConsoleLine>;
  /** Resolves when the machine is off, with the seconds since power-on. */
  waitForPowerOff(timeoutSeconds: number): Promise<number>;
  /** Pulls the plug, and waits until QEMU and the TPM have ended. */
  powerOff(): Promise<void>;
}

/** The host's loopback as a machine sees it (QEMU, "Using the user mode network stack"). */
export const HOST_ADDRESS = '10.0.2.2';
export const FIRMWARE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
export const FIRMWARE_VARS_TEMPLATE = '/usr/share/OVMF/OVMF_VARS_4M.fd';
const DEFAULT_MEMORY_MIB = 1024;

/**
 * After a kexec the old kernel's translated code is still cached, and emulation checks every store to its
 * pages: the second kernel then took 17 s to its init, and sometimes minutes in clear_page (QEMU 7.2). A
 * small cache is emptied often enough (3 s), and stores of eight bytes instead of one (no ERMS) do the rest.
 */
const EMULATION = ['-accel', 'tcg,tb-size=64', '-cpu', 'max,-erms,-fsrm'];

/** Software emulation throughout: the same result on every host, and no privileges. */
export async function startMachine(setup: MachineSetup, cleanup: Cleanup): Promise<Machine> {
  if (!existsSync(FIRMWARE_CODE)) throw new LabError('machine-failed', `${FIRMWARE_CODE} is not installed`);
  const folder = resolve(setup.folder);
  mkdirSync(folder, { recursive: true });
  const serialLog = join(folder, 'serial.log');
  writeFileSync(serialLog, '');
  // A place with a short name: a socket's path has at most 107 characters.
  const tpm = await startTpmForMachine(setup.tpm, cleanup.createFolder('tpm'), cleanup);
  const console = followConsole(serialLog, setup.name);
  cleanup.onClose(() => console.end());
  const started = performance.now();
  const qemu = cleanup.ownChild(
    spawn('qemu-system-x86_64', qemuArguments(setup, { serialLog, tpmSocket: tpm.controlSocket }), {
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  const log = createWriteStream(join(folder, 'qemu.log'));
  qemu.stdout.pipe(log, { end: false });
  qemu.stderr.pipe(log, { end: false });
  qemu.once('error', ({ message }) => log.write(`${message}\n`));
  const ended = endOf(qemu).then(async () => {
    console.end();
    log.end();
    await tpm.stop();
    return (performance.now() - started) / 1000;
  });
  return {
    name: setup.name,
    serialLog,
    pid: qemu.pid ?? 0,
    lines: () => console.lines(),
    waitFor: (pattern, timeoutSeconds) => console.waitFor(pattern, timeoutSeconds),
    waitForPowerOff: (timeoutSeconds) => within(ended, timeoutSeconds, setup.name),
    async powerOff() {
      qemu.kill('SIGKILL');
      await ended;
    },
  };
}

function qemuArguments(
  setup: MachineSetup,
  { serialLog, tpmSocket }: { serialLog: string; tpmSocket: string },
): string[] {
  const off = (name: string) => ['-fw_cfg', `name=opt/org.tianocore/${name},string=n`];
  const card = `virtio-net-pci,netdev=net,mac=${setup.mac},romfile=,addr=${NETWORK_CARD_SLOT}`;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none'],
    ...['-machine', 'q35', ...EMULATION, '-smp', '1'],
    ...['-m', String(setup.memoryMib ?? DEFAULT_MEMORY_MIB)],
    ...(setup.allowReboot === true ? [] : ['-no-reboot']),
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${FIRMWARE_CODE}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${optionValue(resolve(setup.varsFile))}`],
    ...['-chardev', `file,id=serial,path=${optionValue(serialLog)}`, '-serial', 'chardev:serial'],
    ...['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=rng'],
    ...['-netdev', 'user,id=net,ipv6=off', '-device', card],
    ...(setup.watchdog === true ? ['-device', 'i6300esb'] : []),
    ...['-chardev', `socket,id=tpm,path=${optionValue(tpmSocket)}`, '-tpmdev', 'emulator,id=tpm,chardev=tpm'],
    ...['-device', 'tpm-crb,tpmdev=tpm', '-smbios', `type=1,serial=${optionValue(setup.name)}`],
    // Else firmware tries PXE and IPv6 for two minutes before it comes to HTTP.
    ...[...off('IPv4PXESupport'), ...off('IPv6PXESupport'), ...off('IPv6Support')],
  ];
}

/** QEMU separates options by commas; one that belongs to a value is doubled. */
function optionValue(value: string): string {
  return value.replaceAll(',', ',,');
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolveEnd) => {
    child.once('error', () => resolveEnd());
    child.once('exit', () => resolveEnd());
  });
}

function within(ended: Promise<number>, timeoutSeconds: number, name: string): Promise<number> {
  return new Promise((resolveEnd, reject) => {
    const late = () =>
      reject(new LabError('wait-timeout', `machine ${name} is still on after ${timeoutSeconds} s`));
    const timer = setTimeout(late, timeoutSeconds * 1000);
    void ended.then((seconds) => {
      clearTimeout(timer);
      resolveEnd(seconds);
    });
  });
}
