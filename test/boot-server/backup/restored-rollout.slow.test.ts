import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBackup } from '../../../src/boot-server/backup/create-backup.ts';
import { restoreBackup } from '../../../src/boot-server/backup/restore-backup.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer } from '../api/published-server.ts';
import { CHANNEL } from '../api/release-desk.ts';

const REASON = 'restored from a backup: look before you resume';

let world: PublishedServer;
let node: VirtualNode;
let file: string;

beforeEach(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
  file = join(world.folder, 'backup');
});
afterEach(() => world.close());

const backup = () => createBackup({ dataDir: world.config.dataDir, file, artifacts: false });

async function restore() {
  await world.stop();
  const report = await restoreBackup({
    file,
    dataDir: world.config.dataDir,
    passphrase: async () => '',
    publishLater: false,
    nowMs: world.clock.nowMs(),
  });
  await world.open();
  node.close();
  Object.assign(node.door, { port: world.ports.agents });
  node.client = node.connect(node.identity);
  return report;
}

const tell = (path: string, body: object = {}) =>
  world.operators(`/admin/v1/channels/${CHANNEL}/${path}`, { method: 'POST', body });
const rollout = async () => (await world.operators(`/admin/v1/channels/${CHANNEL}/rollout`)).json;
const bootsIn = () =>
  world.database((database) =>
    database
      .prepare('select version, outcome, experience, failed_tries from node_releases order by version')
      .all()
      .map((row) => ({ ...row })),
  );

async function boot(): Promise<number> {
  world.clock.advance(5);
  await node.powerCycle();
  const answer = await node.attest();
  expect(answer.status, String(answer.bytes)).toBe(200);
  return answer.json.release.version;
}

const releaseDigestOfSession = async (): Promise<string> =>
  (await world.operators(`/admin/v1/nodes/${node.id}`)).json.session.releaseDigest;

async function startRollout(): Promise<void> {
  await tell('health', { maxTries: 3, healthWindowSeconds: 600 });
  await world.desk.addRelease(2);
  expect((await world.publishDesk()).status).toBe(200);
  await tell('stage', { version: 2 });
  const plan = { steps: ['100%'], soakSeconds: 0, failureBudget: 3 };
  expect((await tell('rollout', { version: 2, plan })).json.rollout.state).toBe('running');
}

test('R4 a rollout that was aborted since does not go on, and gets nobody until it is resumed', async () => {
  await startRollout();
  await backup();
  await tell('rollout/abort');
  const { voided } = await restore();
  expect(voided.rollouts).toBe(1);
  expect(await rollout()).toMatchObject({ state: 'paused', reason: REASON });
  const { json } = await world.operators('/admin/v1/events');
  expect(json.events.map(({ kind }: { kind: string }) => kind)).toContain('rollout-paused');
  expect(await boot()).toBe(1);
  expect((await tell('rollout/resume')).status).toBe(200);
  expect(await boot()).toBe(2);
});

test('R4 a rollout that had halted waits as well, and still says why', async () => {
  await startRollout();
  world.database((database) =>
    database.exec(
      `update channels set document = json_set(document, '$.rollout.state', 'halted', '$.rollout.reason', 'two broke')`,
    ),
  );
  await backup();
  await restore();
  expect(await rollout()).toMatchObject({ state: 'paused', reason: `${REASON} (was halted: two broke)` });
});

test('R4 a boot that was open ends without a failure', async () => {
  await startRollout();
  expect(await boot()).toBe(2);
  await backup();
  const { voided } = await restore();
  expect([voided.openBoots, bootsIn()]).toEqual([1, []]);
  expect(await boot()).toBe(1);
  world.database((database) => database.exec(`update node_releases set failed_tries = 1`));
  file += '-again';
  await backup();
  await restore();
  expect(bootsIn()).toEqual([{ version: 1, outcome: 'left', experience: 'trying', failed_tries: 1 }]);
});

test.each([
  ['had begun another try', async () => void (await boot())],
  [
    'had failed its last try, as it said',
    async () => {
      const digest = await releaseDigestOfSession();
      const answer = await node.prove('health', digest, { claims: { health: 'unhealthy' } });
      expect(answer.status, String(answer.bytes)).toBe(200);
    },
  ],
])(
  'R4 a node that %s is not lost when the rollout is resumed: it may have come back since',
  async (_, act) => {
    await startRollout();
    expect(await boot()).toBe(2);
    await act();
    await backup();
    expect(bootsIn()).toMatchObject([{ version: 2, failed_tries: 1 }]);
    await restore();
    world.clock.advance(2 * 600);
    expect((await tell('rollout/resume')).status).toBe(200);
    expect((await rollout()).tally).toMatchObject({ open: 0, away: 1, lost: 0, failed: 0 });
    expect(await boot()).toBe(2);
  },
);

test('R4 a boot into what was healthy before ends healthy', async () => {
  await tell('health', { maxTries: 3, healthWindowSeconds: 600 });
  await boot();
  expect((await node.prove('health', world.release.listing.sha256)).status).toBe(200);
  await boot();
  await backup();
  await restore();
  expect(bootsIn()).toEqual([{ version: 1, outcome: 'healthy', experience: 'healthy', failed_tries: 0 }]);
});

test('R4 a node that has booted since the backup is not suspect: it has no session', async () => {
  await boot();
  await backup();
  await boot();
  const { sha256 } = world.release.listing;
  expect((await node.prove('health', sha256)).status).toBe(200);
  const { voided } = await restore();
  expect(voided.sessions).toBe(1);
  world.clock.advance(5);
  const answer = await node.prove('reattest', sha256);
  expect([answer.status, answer.json.code]).toEqual([409, 'session-missing']);
  expect((await world.operators(`/admin/v1/nodes/${node.id}`)).json.suspect).toBeNull();
  await boot();
  expect((await node.prove('reattest', sha256)).status).toBe(200);
});
