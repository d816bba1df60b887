import { afterEach, beforeEach, expect, test } from 'vitest';
import { PublishedServer } from './published-server.ts';
import { CHANNEL } from './release-desk.ts';

let world: PublishedServer;

beforeEach(async () => {
  world = await PublishedServer.publish();
  await world.desk.addRelease(2);
  await world.publishDesk();
});

afterEach(() => world.close());

const rolloutPath = `/admin/v1/channels/${CHANNEL}/rollout`;

test('a rollout shows the end of what its nodes said, the node itself all of it', async () => {
  const node = await world.enrolledNode();
  await world.operators(`/admin/v1/channels/${CHANNEL}/stage`, { method: 'POST', body: { version: 1 } });
  await world.operators(`/admin/v1/channels/${CHANNEL}/promote`, { method: 'POST', body: {} });
  const plan = { steps: ['100%'], soakSeconds: 0 };
  const begun = await world.operators(rolloutPath, { method: 'POST', body: { version: 2, plan } });
  expect(begun.status, String(begun.bytes)).toBe(200);
  await node.powerCycle();
  expect((await node.attest()).json.release.version).toBe(2);
  const said = `${'boot '.repeat(3000)}panic: no init`;
  world.database((database) =>
    database.prepare('update node_releases set report = ?, report_at = 7 where version = 2').run(said),
  );
  const { nodes } = (await world.operators(rolloutPath)).json;
  expect(nodes).toMatchObject([{ id: node.id, report: { text: said.slice(-500), at: 7 } }]);
  const { releases } = (await world.operators(`/admin/v1/nodes/${node.id}/releases`)).json;
  expect(releases).toMatchObject([{ version: 2, report: said }]);
});
