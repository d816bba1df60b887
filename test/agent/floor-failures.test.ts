import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { utf8Bytes } from '../../src/core/bytes.ts';
import {
  approve,
  bootsWith,
  createFloorKey,
  encodeRecord,
  type FloorRecord,
  forgetFloor,
  recordIn,
  writeAsStage0,
} from './floor-lab.ts';
import type { HostTpm } from './host-tpm.ts';
import { cutPower, FLOOR_COMMANDS } from './power-cut.ts';
import { type Outcome, openScriptedLab, POISONED, type Scenario, type ScriptedLab } from './scripted-lab.ts';
import { commandCode, TPM_FAILURE, tapTpm } from './tpm-tap.ts';

// What a machine does whose TPM, power or settings do not let it keep its floor.

const key = createFloorKey();
const LOW: FloorRecord = { root: 1, targets: 1, snapshot: 1, channel: 1, time: 0 };

let lab: ScriptedLab;
let boot: (scenario?: Scenario) => Promise<Outcome>;
beforeAll(async () => {
  lab = await openScriptedLab();
  boot = bootsWith(lab, key);
});
beforeEach(() => forgetFloor(lab.tpm));
afterAll(() => lab.close());

async function bootWell(scenario?: Scenario): Promise<Outcome> {
  const outcome = await boot(scenario);
  expect(outcome.status, outcome.console).toBe(0);
  return outcome;
}

async function stopOf(scenario: Scenario): Promise<string | undefined> {
  const outcome = await boot(scenario);
  expect(outcome, outcome.console).toMatchObject({ status: 20, pcr14: POISONED });
  expect(outcome.marks.map(({ step }) => step)).not.toContain('handover');
  return outcome.stopCode;
}

describe('a TPM that does not do it ends the boot in poison', () => {
  it('by name when the approval is for other PCRs', async () => {
    expect(await stopOf({ lies: { approval: approve(key, { pcr11: 'aa'.repeat(32) }) } })).toBe(
      'floor-approval-refused',
    );
  });

  it.each([12, 13])('P8 by name when PCR %i says that systemd-stub was given something', async (pcr) => {
    const prepare = (tpm: HostTpm) => tpm.extend(pcr, 'aa'.repeat(32));
    expect(await stopOf({ prepare })).toBe('floor-approval-refused');
  });

  it('by name when the approval is of another key', async () => {
    expect(await stopOf({ lies: { approval: approve(createFloorKey()) } })).toBe('floor-approval-refused');
  });

  it.each([[''], ['30'], ['ZZ'.repeat(70)], [1], [null], ['30'.repeat(100)]])(
    'when the approval is %j: not understood',
    async (approval) => {
      expect(await stopOf({ lies: { approval } })).toBe('answer-malformed');
    },
  );

  it.each(['boot', 'forget-floor'])(
    'P8 by name when it does not list its indices: no %s goes on',
    async (command) => {
      await bootWell({ world: { version: 7 } });
      const before = recordIn(lab.tpm);
      const { folder } = lab;
      const tap = await tapTpm(lab.tpm, {
        folder,
        judge: (bytes) => (asksForIndices(bytes) ? TPM_FAILURE : 'passed'),
      });
      const scenario = command === 'boot' ? {} : { command: [command], keepPower: true };
      const outcome = await boot({ ...scenario, tcti: tap.tcti, world: { version: 6 } });
      await tap.close();
      expect(outcome, outcome.console).toMatchObject({ status: 20, stopCode: 'tpm-failed' });
      expect(outcome.console).toContain('does not list its NV indices');
      expect(recordIn(lab.tpm)).toEqual(before);
    },
  );

  it('by name when the owner hierarchy has a password', async () => {
    const { stopCode, pcr14 } = await boot({
      prepare: (tpm) => void tpm.run('changeauth', '-c', 'o', 'secret'),
    });
    lab.tpm.run('changeauth', '-c', 'o', '-p', 'secret');
    expect({ stopCode, pcr14 }).toEqual({ stopCode: 'floor-failed', pcr14: POISONED });
  });

  const [area = '', name = '', policy = ''] = String(Buffer.from(key.baked['floor-key'])).trim().split(' ');
  const [otherArea = ''] = String(Buffer.from(createFloorKey().baked['floor-key'])).split(' ');
  it.each([
    ['is not the one that is named', 'floor-failed', [otherArea, name, policy]],
    ['is no point of the curve', 'floor-failed', [`${area.slice(0, -64)}${'0'.repeat(64)}`, name, policy]],
    ['is of another size', 'config-invalid', [area.slice(2), name, policy]],
    ['has no policy', 'config-invalid', [area, name]],
    ['is written in capitals', 'config-invalid', [area, name.toUpperCase(), policy]],
  ])('by name when the floor key %s', async (_what, code, words) => {
    const floor = { 'floor-key': utf8Bytes(`${words.join(' ')}\n`) };
    expect(await stopOf({ settings: { floor } })).toBe(code);
  });

  it.each<[string, (record: Buffer) => void]>([
    ['another format', (record) => record.write('bwf2')],
    ['a version of 0', (record) => record.writeBigUInt64BE(0n, 36)],
    ['R11 a version past 2^53', (record) => record.writeBigUInt64BE(2n ** 53n, 44)],
    ['R11 a version of all ones', (record) => record.writeBigUInt64BE(2n ** 64n - 1n, 20)],
    ['something behind the time', (record) => record.writeUInt8(1, 63)],
  ])('by name when the record has %s', async (_what, spoil) => {
    await bootWell();
    const record = Buffer.from(encodeRecord(LOW));
    spoil(record);
    writeAsStage0({ tpm: lab.tpm, key, file: fileOf(record), folder: lab.folder });
    expect(await stopOf({})).toBe('floor-unreadable');
  });
});

describe('a power cut', () => {
  const cuts = FLOOR_COMMANDS.flatMap((command) =>
    (['lost', 'kept'] as const).map((fate) => [command, fate] as const),
  );
  it.each(cuts)(
    'at %s, %s, leaves the old record or the new one, and the next boot is whole',
    async (command, fate) => {
      const first = command === 'NV_DefineSpace';
      if (!first) await bootWell({ world: { version: 1 } });
      const old = recordIn(lab.tpm);
      await cutPower(lab, { key, world: { version: 2 }, command, fate });
      lab.tpm.reset();
      expect([old, { ...LOW, snapshot: 2, channel: 2 }]).toContainEqual(recordIn(lab.tpm));
      await bootWell({ world: { version: 2 } });
      expect(recordIn(lab.tpm)).toMatchObject({ snapshot: 2 });
    },
  );
});

/** TPM2_GetCapability of TPM_CAP_HANDLES from the first NV index on (Part 3, 30.2). */
function asksForIndices(command: Buffer): boolean {
  return commandCode(command) === 0x17a && command.readUInt32BE(14) === 0x0100_0000;
}

let files = 0;
function fileOf(bytes: Uint8Array): string {
  files += 1;
  const path = join(lab.folder, `file-${files}`);
  writeFileSync(path, bytes);
  return path;
}
