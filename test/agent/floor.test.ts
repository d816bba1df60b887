import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FLOOR_POLICY_REF } from '../../src/attestation/floor/floor-index.ts';
import { floorKeyNameOf, parseFloorKey } from '../../src/attestation/floor/floor-key.ts';
import { toBase64 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { SHA256 } from '../../src/tpm/algorithms.ts';
import { policyAuthorizeDigest } from '../../src/tpm/policy-digest.ts';
import {
  approve,
  attributesIn,
  bootsWith,
  contentsOf,
  createFloorKey,
  encodeRecord,
  FLOOR_INDEX,
  type FloorRecord,
  floorOf,
  forgetFloor,
  recordIn,
} from './floor-lab.ts';
import { type Outcome, openScriptedLab, POISONED, type Scenario, type ScriptedLab } from './scripted-lab.ts';
import { createKeys, createSignedWorld } from './signed-world.ts';

// The floor of docs/agent.md: what a machine has seen of metadata, kept in its TPM by stage-0 alone.

const key = createFloorKey();
const NOW = Math.floor(Date.now() / 1000);
const LOW: FloorRecord = { root: 1, targets: 1, snapshot: 1, channel: 1, time: 0 };
const LOCKED = 'policywrite|writelocked|write_stclear|ownerread|authread|no_da|written';

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

const OWN = ['-C', 'o', FLOOR_INDEX];

function defineForOwner(): void {
  lab.tpm.run('nvdefine', ...OWN, '-s', '64', '-g', 'sha256', '-a', 'ownerwrite|ownerread|authread|no_da');
}

/** As stage-0 does it. */
function defineUnwritten(): void {
  const keyName = floorKeyNameOf(
    parseFloorKey(toBase64(createPublicKey(key.key).export({ type: 'spki', format: 'der' }))),
  );
  const policy = policyAuthorizeDigest(SHA256, { keyName, policyRef: FLOOR_POLICY_REF });
  const attributes = 'policywrite|write_stclear|ownerread|authread|no_da';
  lab.tpm.run('nvdefine', ...OWN, '-s', '64', '-g', 'sha256', '-a', attributes, '-L', fileOf(policy));
}

const floorMark = ({ marks }: Outcome) => marks.filter(({ step }) => step === 'floor').at(-1)?.values;

describe('a stage-0 with the floor key', () => {
  it.each(['dash', 'busybox sh'])('writes, locks and shows what it verified, under %s', async (shell) => {
    const first = await bootWell({ shell: shell.split(' '), world: { version: 3, signedAt: NOW } });
    expect(floorOf(first)).toBeUndefined();
    expect(floorMark(first)).toMatchObject({ state: 'raised', root: '1', snapshot: '3', channel: '3' });
    expect(recordIn(lab.tpm)).toEqual({ root: 1, targets: 1, snapshot: 3, channel: 3, time: NOW });
    expect(attributesIn(lab.tpm)).toBe(LOCKED);

    const later = { version: 4, laterRoots: 1, targetsVersion: 2, signedAt: NOW + 1 };
    const second = await bootWell({ shell: shell.split(' '), world: later });
    expect(contentsOf(second)).toEqual({ root: 1, targets: 1, snapshot: 3, channel: 3, time: NOW });
    expect(recordIn(lab.tpm)).toEqual({ root: 2, targets: 2, snapshot: 4, channel: 4, time: NOW + 1 });
  });

  it('writes nothing when nothing changed, and locks all the same', async () => {
    await bootWell();
    const again = await bootWell();
    expect(floorMark(again)?.state).toBe('kept');
    expect(attributesIn(lab.tpm)).toBe(LOCKED);
  });

  it('keeps the last signed time when a timestamp does not say one', async () => {
    await bootWell({ world: { signedAt: NOW - 9 } });
    await bootWell({ world: { version: 2 } });
    expect(recordIn(lab.tpm)).toMatchObject({ snapshot: 2, time: NOW - 9 });
  });

  it('P7 certifies the record with the nonce of its evidence, before it is locked', async () => {
    await bootWell();
    const { server } = await bootWell();
    const [evidence] = server.evidence as { attest: string; floor: { attest: string; signature: string } }[];
    const attest = Buffer.from(evidence?.floor.attest ?? '', 'base64');
    const quote = Buffer.from(evidence?.attest ?? '', 'base64');
    expect(attest.subarray(0, 6).toString('hex')).toBe('ff5443478014');
    const extraData = (of: Buffer) => of.subarray(42, 76).toString('hex');
    expect(extraData(attest)).toBe(extraData(quote));
    expect(
      Buffer.from(evidence?.floor.signature ?? '', 'base64')
        .subarray(0, 4)
        .toString('hex'),
    ).toBe('0018000b');
  });

  it.each(['reattest', 'health'])('shows the locked record in evidence of purpose %s', async (purpose) => {
    await bootWell({ world: { version: 5 } });
    // The same power cycle: nothing resets the TPM.
    const running = await lab.run({ command: ['attest', '--purpose', purpose], keepPower: true });
    expect(running.status, running.console).toBe(0);
    expect(contentsOf(running)?.snapshot).toBe(5);
  });

  it.each<[string, () => void]>([
    ['no record', () => undefined],
    ['one that was never written', () => defineUnwritten()],
    ["another's", () => defineForOwner()],
  ])('keeps none without an approval, on a machine that has %s', async (_what, prepare) => {
    prepare();
    const outcome = await lab.run({ settings: { floor: key.baked } });
    expect(outcome).toMatchObject({ status: 0 });
    expect(floorMark(outcome)).toEqual({ state: 'none' });
  });

  it('keeps none without the key', async () => {
    const outcome = await lab.run({ lies: { approval: approve(key) } });
    expect(outcome.status).toBe(0);
    expect(floorMark(outcome)).toEqual({ state: 'none' });
  });
});

describe('R1 P13 what a server of old metadata gets', () => {
  const seen = { version: 5, targetsVersion: 3, laterRoots: 1 };
  it.each<[string, Scenario['world']]>([
    ['root, by an old stage-0 and a server that hides newer ones (R9)', { ...seen, laterRoots: 0 }],
    ['targets', { ...seen, targetsVersion: 2 }],
    ['snapshot and channel', { ...seen, version: 4 }],
    ['channel alone', { ...seen, channelVersion: 4 }],
  ])('P13 R1 is refused for its %s', async (_role, world) => {
    await bootWell({ world: seen });
    const before = recordIn(lab.tpm);
    const outcome = await boot({ world: world ?? {} });
    expect(outcome).toMatchObject({ status: 20, stopCode: 'metadata-rollback', pcr14: POISONED });
    expect(outcome.console).toContain("this machine's floor is");
    expect(recordIn(lab.tpm)).toEqual(before);
  });

  it('R1 is refused without an approval, too', async () => {
    await bootWell({ world: seen });
    const outcome = await lab.run({
      settings: { floor: key.baked },
      world: { ...seen, version: 4 },
    });
    expect(outcome).toMatchObject({ stopCode: 'metadata-rollback', pcr14: POISONED });
  });

  it.each<[string, Scenario['world']]>([
    ['the same', seen],
    ['a later snapshot', { ...seen, version: 6 }],
    ['a later time alone', { ...seen, signedAt: NOW }],
  ])('R1 P13 cannot switch the floor off by giving no approval with %s', async (_what, world) => {
    await bootWell({ world: seen });
    const before = recordIn(lab.tpm);
    const outcome = await lab.run({ settings: { floor: key.baked }, world: world ?? {} });
    expect(outcome).toMatchObject({ status: 20, stopCode: 'floor-approval-missing', pcr14: POISONED });
    expect(outcome.marks.map(({ step }) => step)).not.toContain('handover');
    expect(recordIn(lab.tpm)).toEqual(before);
  });

  it('P13 another channel than the record is of is refused', async () => {
    await bootWell();
    const release = (honest: object) => ({ ...honest, channel: 'other' });
    expect(await stopOf({ lies: { release } })).toBe('floor-other-channel');
  });

  it('R11 takes the highest version there is, and refuses everything below', async () => {
    const highest = Number.MAX_SAFE_INTEGER;
    await bootWell({ world: { version: highest } });
    expect(recordIn(lab.tpm)).toMatchObject({ snapshot: highest, channel: highest });
    expect(await stopOf({ world: { version: highest - 1 } })).toBe('metadata-rollback');
  });
});

describe('recovery from a fast-forward (TUF 5.3.11)', () => {
  const stolen = { version: 1000, channelVersion: 1, signedAt: NOW + 3000 };
  const { snapshot: newSnapshot, timestamp: newTimestamp } = createKeys();
  const rotated = { snapshot: newSnapshot, timestamp: newTimestamp };

  it.each(['snapshot', 'timestamp'] as const)(
    'R11 a new root with another key for %s releases version and time',
    async (role) => {
      await bootWell({ world: stolen });
      const { snapshot, timestamp } = lab.keys;
      const keys = { snapshot, timestamp, [role]: rotated[role] };
      await bootWell({
        world: { rotated: keys, laterRoots: 1, version: 2, channelVersion: 1, signedAt: NOW },
      });
      expect(recordIn(lab.tpm)).toMatchObject({ root: 2, snapshot: 2, time: NOW });
    },
  );

  it('R11 a stage-0 that was built after the new root compares, too', async () => {
    await bootWell({ world: { ...stolen, signedAt: NOW } });
    const world = { rotated, laterRoots: 2, version: 2, channelVersion: 1, signedAt: NOW };
    const { files } = await createSignedWorld(lab.keys, world);
    const roots = Object.fromEntries([...files].filter(([name]) => /^[12]\.root\.json$/.test(name)));
    const tufRoot = files.get('2.root.json') ?? new Uint8Array();
    const alone = { tufRoot, floor: key.baked };
    expect(await stopOf({ world, settings: alone }), 'nothing to compare').toBe('metadata-rollback');
    await bootWell({ world, settings: { tufRoot, floor: { ...key.baked, ...roots } } });
    expect(recordIn(lab.tpm)).toMatchObject({ root: 3, snapshot: 2, time: NOW });
  });

  it('R11 a new root with the same keys releases nothing', async () => {
    await bootWell({ world: { ...stolen, signedAt: NOW } });
    expect(await stopOf({ world: { laterRoots: 1, version: 2 } })).toBe('metadata-rollback');
  });

  it('R11 releases neither targets nor channel', async () => {
    await bootWell({ world: { ...stolen, channelVersion: 4, signedAt: NOW } });
    const world = { rotated, laterRoots: 1, version: 2, channelVersion: 3 };
    expect(await stopOf({ world })).toBe('metadata-rollback');
  });
});

describe('signed time', () => {
  const HOUR = 3600;
  it('R7 refuses what had expired when the last timestamp it saw was signed', async () => {
    const world = { signedAt: NOW + HOUR / 2 };
    await bootWell({ world });
    const stale = { version: 2, onlineExpiresMs: (NOW + HOUR / 4) * 1000 };
    const challenge = (honest: JsonObject) => ({ ...honest, iat: NOW + HOUR / 2, exp: NOW + HOUR / 2 + 120 });
    expect(await stopOf({ world: stale, lies: { challenge } })).toBe('metadata-expired');
  });

  it('R7 refuses a snapshot that had expired when its timestamp was signed', async () => {
    const snapshot = (document: object) => ({ ...document, expires: iso(NOW + 60) });
    expect(await stopOf({ world: { signedAt: NOW + HOUR / 2, snapshot } })).toBe('metadata-expired');
  });

  it('R11 refuses a time after the timestamp expires', async () => {
    expect(await stopOf({ world: { signedAt: NOW + 2 * HOUR } })).toBe('metadata-signed-at');
  });

  it('R11 refuses a time after the root expires', async () => {
    const world = { signedAt: NOW + 2 * HOUR, onlineExpiresMs: (NOW + 3 * HOUR) * 1000 };
    expect(await stopOf({ world })).toBe('metadata-signed-at');
  });

  it.each([['1700000000'], [null], [true], [[NOW]]])('R11 refuses %j for a time', async (signedAt) => {
    expect(await stopOf({ world: { signedAt } })).toBe('metadata-malformed');
  });

  const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
});

describe('P8 what root of a running system did to the record', () => {
  it('P8 cannot write it, by owner or without a policy', async () => {
    await bootWell({ world: { version: 7 } });
    const before = recordIn(lab.tpm);
    expect(() => lab.tpm.run('nvwrite', ...OWN, '-i', '/etc/hostname')).toThrow();
    expect(() => lab.tpm.run('nvwrite', '-C', FLOOR_INDEX, FLOOR_INDEX, '-i', '/etc/hostname')).toThrow();
    expect(recordIn(lab.tpm)).toEqual(before);
  });

  it('P8 deleted it: the machine begins anew, and shows the server none', async () => {
    await bootWell({ world: { version: 7 } });
    forgetFloor(lab.tpm);
    const outcome = await bootWell({ world: { version: 6 } });
    expect(floorOf(outcome)).toBeUndefined();
    expect(recordIn(lab.tpm)?.snapshot).toBe(6);
  });

  it('P8 re-created it for writing by the owner: it is not believed, and removed', async () => {
    defineForOwner();
    lab.tpm.run('nvwrite', ...OWN, '-i', fileOf(encodeRecord({ ...LOW, snapshot: 900 })));
    const outcome = await bootWell();
    expect(floorOf(outcome)).toBeUndefined();
    expect(outcome.marks).toContainEqual({ step: 'floor', values: { state: 'foreign' } });
    expect(attributesIn(lab.tpm)).toBe(LOCKED);
  });

  it('P8 defined it again and could not write it: taken as it was never written', async () => {
    defineUnwritten();
    const outcome = await bootWell();
    expect(floorOf(outcome)).toBeUndefined();
    expect(outcome.marks).not.toContainEqual({ step: 'floor', values: { state: 'foreign' } });
    expect(recordIn(lab.tpm)?.snapshot).toBe(1);
  });

  it('P8 locked too early: it is shown locked, and the boot ends in poison', async () => {
    await bootWell();
    for (const lies of [{ approval: approve(key) }, {}]) {
      const again = await lab.run({ keepPower: true, settings: { floor: key.baked }, lies });
      expect(again.pcr14).not.toBe('0'.repeat(64));
      expect(again.stopCode).toBe('floor-locked');
    }
  });
});

describe('bootward-agent forget-floor', () => {
  const forget = () => lab.run({ command: ['forget-floor'], keepPower: true });
  it('P13 lets a machine move to another channel', async () => {
    await bootWell({ world: { version: 5 } });
    const forgot = await forget();
    expect(forgot).toMatchObject({ status: 0 });
    expect(floorMark(forgot)).toEqual({ state: 'forgotten' });
    expect(recordIn(lab.tpm)).toBeUndefined();
    await bootWell({ world: { version: 2 } });
  });

  it('says so when there is nothing to forget', async () => {
    const forgot = await forget();
    expect(forgot.status).toBe(0);
    expect(forgot.console).toContain('has no floor record');
  });
});

let files = 0;
function fileOf(bytes: Uint8Array): string {
  files += 1;
  const path = join(lab.folder, `file-${files}`);
  writeFileSync(path, bytes);
  return path;
}
