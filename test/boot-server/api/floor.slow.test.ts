import { cpSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { channelHashOf, encodeFloorRecord } from '../../../src/attestation/floor/floor-record.ts';
import type { Answer } from '../../../src/fleet-sim/wire/https-client.ts';
import { FloorWorld } from './floor-world.ts';
import { reasonsOf } from './published-server.ts';
import { CHANNEL, OTHER_CHANNEL } from './release-desk.ts';

let world: FloorWorld;

beforeEach(async () => {
  world = await FloorWorld.create();
});
afterEach(() => world.close());

async function handOver(granted: Answer): Promise<void> {
  expect((await world.node.closeGrant(granted.json.grant)).status).toBe(204);
}

describe('a node that keeps a floor', () => {
  test('shows it in health evidence, and then in every boot', async () => {
    await world.boot();
    expect((await world.health(world.recordNow())).json.verdict).toBe('accept');
    expect((await world.nodeShown()).floor).toEqual({
      shown: true,
      ...world.published(),
      channelHash: channelHashOf(CHANNEL),
      signedAt: 0,
    });
    await world.node.powerCycle();
    expect((await world.boot(world.recordNow())).json.verdict).toBe('accept');
  });

  test('may boot again without a record when its first boot ended before it was written', async () => {
    await world.boot();
    await world.node.powerCycle();
    expect((await world.boot()).json.verdict).toBe('accept');
  });

  test('P8 is held when boot after boot shows none: three may have lost power before it was written', async () => {
    await handOver(await world.boot());
    for (const _ of [1, 2, 3]) {
      await world.node.powerCycle();
      expect((await world.boot()).json.verdict).toBe('accept');
      const again = await world.boot();
      expect(again.json.verdict, 'asked again in the same power cycle').toBe('accept');
      await handOver(again);
    }
    await world.node.powerCycle();
    const held = await world.boot();
    expect([held.json.code, reasonsOf(held)]).toEqual(['evidence-held', ['floor-missing']]);
    expect((await world.boot(world.recordNow())).json.verdict).toBe('accept');
  });

  test('may show none for as long as its release does not reach it', async () => {
    for (const _ of [1, 2, 3, 4, 5, 6]) {
      expect((await world.boot()).json.verdict).toBe('accept');
      await world.node.powerCycle();
    }
  });

  test('P8 is held before it is granted anything when the stage-0 that it boots keeps none', async () => {
    await world.boot(world.recordNow());
    await world.listWithoutFloor();
    await world.server.stop();
    await world.reopen();
    const held = await world.boot(world.recordNow());
    expect([held.json.code, reasonsOf(held)]).toEqual(['evidence-held', ['floor-missing']]);
    expect(held.json.detail).toMatch(/build 1, which keeps no floor/);
  });

  test('is not suspect while it runs, when what is listed has no floor key any more', async () => {
    await world.boot();
    await world.listWithoutFloor();
    expect((await world.health(world.recordNow())).json.verdict).toBe('accept');
    expect((await world.nodeShown()).suspect).toBeNull();
  });

  test('P8 is held and suspect when its running system shows none after all', async () => {
    await world.boot();
    const answer = await world.health();
    expect([answer.json.code, reasonsOf(answer)]).toEqual(['evidence-held', ['floor-missing']]);
    expect((await world.nodeShown()).suspect.reason).toMatch(/^floor-missing: /);
  });

  test('P8 is held when the record is gone, until an operator resets it and says why', async () => {
    await world.boot(world.recordNow());
    await world.node.powerCycle();
    const held = await world.boot();
    expect([held.status, held.json.code, reasonsOf(held)]).toEqual([403, 'evidence-held', ['floor-missing']]);
    const reset = (body: object) =>
      world.server.operators(`/admin/v1/nodes/${world.node.id}/reset-floor`, { method: 'POST', body });
    expect((await reset({})).status).toBe(400);
    expect((await world.boot()).json.code).toBe('evidence-held');
    expect((await reset({ reason: 'TPM cleared at the workbench' })).json.floor).toBeNull();
    expect(await world.eventsOf('node-floor-reset')).toMatchObject([
      { subject: world.node.id, detail: { reason: 'TPM cleared at the workbench' } },
    ]);
    expect((await world.boot()).json.verdict).toBe('accept');
  });

  test('R1 is held when its record went back', async () => {
    await world.boot(world.recordNow());
    await world.node.powerCycle();
    const lower = world.recordNow({ snapshot: world.published().snapshot - 1 });
    expect(reasonsOf(await world.boot(lower))).toEqual(['floor-went-back']);
  });

  test('P13 is held when its record is of another channel', async () => {
    const answer = await world.boot(world.recordNow({ channelHash: channelHashOf(OTHER_CHANNEL) }));
    expect(reasonsOf(answer)).toEqual(['floor-other-channel']);
  });

  test('P13 is moved to another channel, and is held until its old record is gone', async () => {
    await world.boot(world.recordNow());
    const move = (body: object) =>
      world.server.operators(`/admin/v1/nodes/${world.node.id}/move`, { method: 'POST', body });
    await world.server.desk.addRelease(1, { channel: OTHER_CHANNEL });
    await world.server.publishDesk();
    expect((await move({ channel: OTHER_CHANNEL })).status).toBe(400);
    expect((await move({ channel: CHANNEL, reason: 'none' })).json.code).toBe('node-state-conflict');
    const moved = await move({ channel: OTHER_CHANNEL, reason: 'to the Pis' });
    expect([moved.json.channel, moved.json.floor]).toEqual([OTHER_CHANNEL, null]);
    expect(await world.eventsOf('node-moved')).toMatchObject([
      { subject: world.node.id, detail: { from: CHANNEL, to: OTHER_CHANNEL, reason: 'to the Pis' } },
    ]);
    expect(reasonsOf(await world.health(world.recordNow()))).toEqual(['floor-other-channel']);
    expect((await world.nodeShown()).suspect).toBeNull();
    await world.node.powerCycle();
    expect(reasonsOf(await world.boot(world.recordNow()))).toEqual(['floor-other-channel']);
    const answer = await world.boot();
    expect([answer.json.verdict, answer.json.release.channel]).toEqual(['accept', OTHER_CHANNEL]);
  });

  test('R3 loses nothing when its row is set back: its own record counts', async () => {
    const earlier = world.recordNow();
    await world.boot(earlier);
    await world.server.desk.addRelease(2);
    await world.server.publishDesk();
    await world.node.powerCycle();
    await world.boot(world.recordNow());
    world.server.database((database) =>
      database
        .prepare('update nodes set floor_record = ? where id = ?')
        .run(encodeFloorRecord(earlier), world.node.id),
    );
    await world.node.powerCycle();
    expect((await world.boot(world.recordNow())).json.verdict).toBe('accept');
    expect((await world.nodeShown()).floor).toMatchObject(world.published());
  });
});

describe('R4 R3 a server that was restored from an old backup', () => {
  const dataDir = () => world.server.config.dataDir;
  const backup = () => `${dataDir()}-backup`;

  /** Everything that the server wrote since the backup is gone. */
  async function restoreBackup(): Promise<void> {
    await world.server.stop();
    rmSync(dataDir(), { recursive: true });
    cpSync(backup(), dataDir(), { recursive: true });
    await world.reopen();
  }

  test('holds the nodes that have seen more, says so as an event, and goes on when the rest is published', async () => {
    await world.boot();
    await world.server.stop();
    cpSync(dataDir(), backup(), { recursive: true });
    await world.reopen();
    await world.server.desk.addRelease(2);
    await world.server.publishDesk();
    await world.boot(world.recordNow());

    await restoreBackup();
    const held = await world.boot(world.recordNow());
    expect(reasonsOf(held)).toEqual(['floor-ahead']);
    expect(held.json.detail).toMatch(
      /^floor: the node has seen root 1, .*channel 3, this server publishes root 1, .*channel 2$/,
    );
    expect((await world.eventsOf('floor-ahead')).map(({ subject }) => subject)).toEqual([world.node.id]);
    expect((await world.nodeShown()).suspect).toBeNull();

    expect((await world.server.publishDesk()).status).toBe(200);
    expect((await world.boot(world.recordNow())).json.verdict).toBe('accept');
  });
});
