import { afterEach, beforeEach, expect, test } from 'vitest';
import { beforeNextTransaction } from './before-transaction.ts';
import { policyDocument, WITHOUT_STAGE0 } from './policy-documents.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';
import type { VirtualNode } from './virtual-node.ts';

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
