import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { beforeNextTransaction } from './before-transaction.ts';
import { policyDocument, WITHOUT_STAGE0 } from './policy-documents.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

beforeEach(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
});
afterEach(() => world.close());

const apply = (changes: Record<string, string>) =>
  world.operators('/admin/v1/policies', { method: 'POST', body: { document: policyDocument(changes) } });

/** A boot whose evidence has been judged when this statement takes effect. */
async function bootWhile(statement: string) {
  const evidence = await node.evidence(await node.challenge(), 'boot');
  const meanwhile = beforeNextTransaction(() => world.database((database) => database.exec(statement)));
  const answer = await node.submit(evidence);
  expect(meanwhile.happened()).toBe(true);
  return answer;
}

const openGrants = () =>
  world.database(
    (database) => database.prepare('select count(*) as open from grants where closed_at is null').get()?.open,
  );

test('a ROM that is no longer vouched for while a boot is judged gets no grant', async () => {
  await apply({ ...WITHOUT_STAGE0, state: '[rom-asserted]' });
  await world.decide('assert-rom', node);
  expect((await node.attest()).json.facts.state).toBe('rom-asserted');
  const answer = await bootWhile(
    'update nodes set rom_asserted = 0; update grants set closed_at = 1 where closed_at is null',
  );
  expect(reasonsOf(answer)).toEqual(['state-not-accepted']);
  expect(openGrants()).toBe(0);
  expect((await world.verdictsOf(node)).map(({ verdict }) => verdict)).toEqual([
    'refuse',
    'accept',
    'accept',
  ]);
});

test('a node that changes its channel while its boot is judged is granted what the new one has', async () => {
  await node.attest();
  const answer = await bootWhile(`update nodes set channel = 'other'`);
  expect(answer.json.code).toBe('no-release');
});

describe('a firmware approval that is withdrawn while a boot is judged under it', () => {
  const WITHDRAWN = 'delete from firmware_approvals where id = (select min(id) from firmware_approvals)';

  /** The node has booted, was flashed since, and what it was held for is approved. */
  async function approveUpdate(scopes: readonly unknown[]): Promise<void> {
    await node.attest();
    node.eventLog = logOfStage0(world.stage0.image, { firmware: '2.0' });
    await node.attest();
    const { verdicts } = (await world.operators(`/admin/v1/nodes/${node.id}`)).json;
    for (const scope of scopes) {
      const body = { verdictId: verdicts[0].id, scope };
      await world.operators('/admin/v1/firmware/approvals', { method: 'POST', body });
    }
  }

  test('holds it, and does not become the baseline', async () => {
    await approveUpdate(['all']);
    const answer = await bootWhile(WITHDRAWN);
    expect([answer.json.code, reasonsOf(answer)]).toEqual(['evidence-held', ['firmware-changed']]);
    expect(reasonsOf(await node.attest())).toEqual(['firmware-changed']);
    node.eventLog = logOfStage0(world.stage0.image);
    expect((await node.attest()).status, 'the baseline is what it was').toBe(200);
  });

  test('accepts it when another approval says the same', async () => {
    await approveUpdate(['node', 'all']);
    expect((await bootWhile(WITHDRAWN)).json.verdict).toBe('accept');
  });

  test('clears no suspicion by evidence of the running system either', async () => {
    await approveUpdate(['all']);
    node.eventLog = logOfStage0(world.stage0.image);
    const { digest } = (await node.attest()).json.release;
    node.eventLog = logOfStage0(world.stage0.image, { firmware: '2.0' });
    const { happened } = beforeNextTransaction(() => world.database((database) => database.exec(WITHDRAWN)));
    expect(reasonsOf(await node.prove('reattest', digest))).toEqual(['firmware-changed']);
    expect(happened()).toBe(true);
  });
});
