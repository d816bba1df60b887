import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { builtInPolicy } from '../../../src/attestation/policy/policy.ts';
import { createPolicyService } from '../../../src/boot-server/services/policies.ts';
import { suspectSilentNodes } from '../../../src/boot-server/services/silent-nodes.ts';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { openDatabase } from '../../../src/storage/database.ts';
import { createSqlPolicyStore } from '../../../src/storage/sql-policies.ts';
import { createSqlRunningNodeStore } from '../../../src/storage/sql-running-nodes.ts';
import { policyDocument } from './policy-documents.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;
/** Of the release that the node runs. */
let digest: string;

beforeEach(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
  digest = (await node.attest()).json.release.digest;
});
afterEach(() => world.close());

const kernel = () => toHex(sha256(world.release.kernel));

async function suspicion(): Promise<{ reason: string } | null> {
  return (await world.operators(`/admin/v1/nodes/${node.id}`)).json.suspect;
}

async function eventsOf(kind: string): Promise<{ subject: string; detail: Record<string, string> }[]> {
  const { json } = await world.operators('/admin/v1/events?limit=1000');
  return json.events.filter((event: { kind: string }) => event.kind === kind);
}

describe('evidence of a running system', () => {
  test.each(['health', 'reattest'] as const)('is accepted for %s, and grants nothing', async (purpose) => {
    const { status, json } = await node.prove(purpose, digest);
    expect([status, json.verdict]).toEqual([200, 'accept']);
    expect(json.facts).toEqual({ identity: 'certified', admission: 'listed', state: 'measured' });
    expect([json.grant, json.release, json.nextWithinSeconds]).toEqual([undefined, undefined, undefined]);
    expect(await suspicion()).toBeNull();
  });

  test('P2 of another release makes the node suspect and ends its grants', async () => {
    const grant = await node.grant();
    const answer = await node.prove('health', 'ab'.repeat(32));
    expect(reasonsOf(answer)).toEqual(['pcr14-not-release']);
    expect((await suspicion())?.reason).toMatch(/^pcr14-not-release: PCR 14/);
    expect((await eventsOf('node-suspect')).map(({ subject }) => subject)).toEqual([node.id]);
    expect((await node.fetch(kernel(), grant)).json.code).toBe('grant-closed');
  });

  test('P2 with a second extend in PCR 14 is refused', async () => {
    const twice = sha256(sha256(new Uint8Array(32), Buffer.from(digest, 'hex')), Buffer.alloc(32, 1));
    const answer = await node.prove('reattest', digest, { pcrs: (pcrs) => pcrs.set(14, twice) });
    expect(reasonsOf(answer)).toEqual(['pcr14-not-release']);
  });

  test('P2 of another power cycle is refused', async () => {
    await node.powerCycle();
    expect(reasonsOf(await node.prove('reattest', digest))).toEqual(['session-mismatch']);
    expect(await suspicion()).not.toBeNull();
  });

  test('P1 asked for a boot, the running system gets nothing', async () => {
    const handover = sha256(new Uint8Array(32), Buffer.from(digest, 'hex'));
    const answer = await node.attest({ pcrs: (pcrs) => pcrs.set(14, handover) });
    expect(reasonsOf(answer)).toEqual(['pcr14-not-zero']);
  });

  test.each([
    ['boot', 'reattest'],
    ['reattest', 'boot'],
    ['health', 'reattest'],
  ])('P4 for %s is worthless where %s was asked for', async (claimed, asked) => {
    const { json } = await node.askChallenge(node.akName, asked);
    const answer = await node.submit(await node.evidence(json.challenge, claimed));
    expect(reasonsOf(answer)).toContain('purpose-mismatch');
    expect(await suspicion(), 'claims alone are nobody’s evidence').toBeNull();
  });

  test('of a node that was granted nothing has no session to belong to', async () => {
    const other = await world.enrolledNode();
    const answer = await other.askChallenge(other.akName, 'health');
    expect([answer.status, answer.json.code]).toEqual([409, 'session-missing']);
  });

  test('Q32 that its key did not sign harms nobody: a stranger who knows the name of a key sends garbage', async () => {
    const { json } = await node.askChallenge(node.akName, 'reattest');
    const other = await world.createNode();
    const answer = await node.submit(await node.evidence(json.challenge, 'reattest', { ak: other.ak }));
    expect(reasonsOf(answer)).toEqual(['signature-invalid']);
    expect(await suspicion()).toBeNull();
  });

  test('P10 over another connection than its claims name harms nobody either', async () => {
    const { json } = await node.askChallenge(node.akName, 'reattest');
    const evidence = await node.evidence(json.challenge, 'reattest');
    const answer = await node.post('/v1/evidence', evidence, (await world.createNode()).client);
    expect(reasonsOf(answer)).toEqual(['ephemeral-key-mismatch']);
    expect(await suspicion()).toBeNull();
  });

  test('may have extended what only the running system extends', async () => {
    const phase = sha256(Buffer.from('sysinit'));
    const answer = await node.prove('reattest', digest, {
      pcrs: (pcrs) => {
        pcrs.set(9, Buffer.alloc(32, 9));
        pcrs.set(11, sha256(pcrs.get(11) as Uint8Array, phase));
      },
    });
    expect(answer.json.verdict).toBe('accept');
    const unknown = await node.prove('reattest', digest, { pcrs: (pcrs) => pcrs.set(11, phase) });
    expect(reasonsOf(unknown)).toEqual(['stage0-not-listed']);
  });

  test('P11 of a stage-0 that was withdrawn since is refused, and its grants end at once', async () => {
    const grant = await node.grant();
    expect((await node.fetch(kernel(), grant)).status).toBe(200);
    await world.desk.addStage0(2);
    await world.desk.withdraw('stage0', world.stage0.listing.target);
    expect((await world.publishDesk()).status).toBe(200);
    expect((await node.fetch(kernel(), grant)).json.code).toBe('grant-closed');
    const answer = await node.prove('reattest', digest);
    expect(reasonsOf(answer)).toEqual(['stage0-withdrawn']);
    expect(answer.json.detail).toContain('build 1, withdrawn (just now)');
  });

  test('a suspect node is cleared by the next evidence that is accepted', async () => {
    await node.prove('health', 'ab'.repeat(32));
    expect(await suspicion()).not.toBeNull();
    expect((await node.prove('health', digest)).status).toBe(200);
    expect(await suspicion()).toBeNull();
    await node.prove('health', 'ab'.repeat(32));
    await node.powerCycle();
    expect((await node.attest()).status, 'a boot anew').toBe(200);
    expect(await suspicion()).toBeNull();
    expect((await eventsOf('node-no-longer-suspect')).length).toBe(2);
  });
});

async function applyDeadline(): Promise<void> {
  const document = policyDocument({ reattest: '{ everySeconds: 600, graceSeconds: 300 }' });
  await world.operators('/admin/v1/policies', { method: 'POST', body: { document } });
}

describe('silence', () => {
  const silence = async (by: PublishedServer) => {
    const database = await openDatabase(join(by.config.dataDir, 'state.db'));
    try {
      await suspectSilentNodes({
        runningNodes: createSqlRunningNodeStore(database),
        policies: createPolicyService({ store: createSqlPolicyStore(database), builtIn, clock: by.clock }),
        repository: { setBack: () => undefined },
        answersSinceSeconds: startedAt,
        clock: by.clock,
        logger: pino({ level: 'silent' }),
      });
    } finally {
      await database.destroy();
    }
  };

  const startedAt = 0;
  const builtIn = builtInPolicy({ eventLog: 'required', secureBoot: 'required' });

  beforeEach(async () => {
    await applyDeadline();
    digest = (await node.attest()).json.release.digest;
  });

  test('past the deadline makes a node suspect, once, and before it does not', async () => {
    const grant = await node.grant();
    world.clock.advance(900);
    await silence(world);
    expect(await suspicion()).toBeNull();
    world.clock.advance(1);
    await Promise.all([silence(world), silence(world)]);
    expect((await suspicion())?.reason).toMatch(/^silent: .* 900 seconds/);
    expect((await eventsOf('node-suspect')).length).toBe(1);
    expect(['grant-closed', 'grant-expired']).toContain((await node.fetch(kernel(), grant)).json.code);
  });

  test('ends with every evidence that is accepted', async () => {
    world.clock.advance(800);
    await node.prove('reattest', digest);
    world.clock.advance(800);
    await silence(world);
    expect(await suspicion()).toBeNull();
  });

  test('the node hears of the deadline', async () => {
    expect((await node.prove('reattest', digest)).json.nextWithinSeconds).toBe(600);
  });

  test('is not counted from before the policy asked', async () => {
    world.clock.advance(899);
    await world.operators('/admin/v1/policies/edge/withdraw', { method: 'POST', body: {} });
    const document = policyDocument({ version: '2', reattest: '{ everySeconds: 600, graceSeconds: 300 }' });
    await world.operators('/admin/v1/policies', { method: 'POST', body: { document } });
    world.clock.advance(10);
    await silence(world);
    expect(await suspicion()).toBeNull();
    world.clock.advance(900);
    await silence(world);
    expect(await suspicion()).not.toBeNull();
  });

  test('of other channels is seen although one policy cannot be read, and readyz tells of that one', async () => {
    world.database((database) => {
      database.exec(`insert into policies values ('broken', 1, '["other"]', 'format: v9', 0, 1)`);
      database.exec(`insert into policy_channels values ('other', 'broken')`);
    });
    world.clock.advance(901);
    await silence(world);
    expect(await suspicion()).not.toBeNull();
    const ready = await (await world.stranger()).call('/readyz');
    expect(ready.json.faults).toContain('policy broken, version 1, cannot be read: apply a new version');
  });
});
