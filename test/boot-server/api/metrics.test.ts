import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REASONS } from '../../../src/attestation/reasons.ts';
import { createMetrics } from '../../../src/boot-server/metrics/metrics.ts';
import { sha256 } from '../../../src/core/bytes.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { parseOpenMetrics, samplesOf } from '../openmetrics.ts';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

beforeAll(async () => {
  world = await PublishedServer.publish(['metrics: { port: 0 }']);
  node = await world.enrolledNode();
});

afterAll(() => world.close());

/** Counts of rows are taken anew when 10 seconds have gone by. */
async function read(): Promise<ReadonlyMap<string, number>> {
  world.clock.advance(10);
  const { status, bytes } = await world.operators('/metrics');
  expect(status).toBe(200);
  return samplesOf(bytes.toString());
}

/** What `work` adds to this sample. */
async function growth(sample: string, work: () => Promise<unknown>): Promise<number> {
  const before = (await read()).get(sample) ?? 0;
  await work();
  return ((await read()).get(sample) ?? 0) - before;
}

describe('GET /metrics', () => {
  test('is OpenMetrics, and says so', async () => {
    const { headers, bytes } = await world.operators('/metrics');
    expect(headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    const families = parseOpenMetrics(bytes.toString());
    expect([...families].filter(([name]) => !name.startsWith('bootward_'))).toEqual([]);
    expect(families.get('bootward_evidence_verification_seconds')?.type).toBe('histogram');
  });

  test('is on the loopback door that was asked for, where there is nothing else', async () => {
    const answer = (path: string) =>
      new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
        get({ host: '127.0.0.1', port: world.ports.metrics, path }, async (response) =>
          resolve({ status: response.statusCode, body: await text(response) }),
        ).once('error', reject);
      });
    const { status, body } = await answer('/metrics');
    expect(status).toBe(200);
    expect(samplesOf(body).get('bootward_ready')).toBe(1);
    for (const path of ['/admin/v1/nodes', '/readyz', '/v1/tuf/timestamp.json'])
      expect((await answer(path)).status, path).toBe(404);
  });

  test('is not on the doors that machines reach', async () => {
    for (const door of [await world.stranger(), await world.firmware()])
      expect((await door.call('/metrics')).status).toBe(404);
  });

  test('has no name of a node, and nothing that a client wrote', async () => {
    await node.powerCycle();
    await node.attest();
    await (await world.stranger()).call('/v1/written-by-a-client?by=a-client');
    const { bytes } = await world.operators('/metrics');
    for (const word of [node.id, node.akName, node.fingerprint, 'written-by-a-client', 'by=a-client'])
      expect(bytes.toString()).not.toContain(word);
  });
});

describe('the metadata that are served', () => {
  test('R7 their age and the seconds until each role expires', async () => {
    const before = await read();
    const age = 'bootward_metadata_timestamp_age_seconds';
    const expiry = 'bootward_metadata_expires_in_seconds';
    const roles = ['root', 'targets', 'snapshot', 'timestamp', 'channel-demo', 'stage0'];
    world.clock.advance(86_390);
    const after = await read();
    expect((after.get(age) ?? 0) - (before.get(age) ?? 0)).toBe(86_400);
    for (const role of roles) {
      const sample = `${expiry}{role="${role}"}`;
      expect((after.get(sample) ?? 0) - (before.get(sample) ?? 0), role).toBe(-86_400);
    }
    world.clock.advance(-86_400);
  });

  test('are absent before the first publication: nothing passes for fresh', async () => {
    const empty = await PublishedServer.start();
    const samples = samplesOf((await empty.operators('/metrics')).bytes.toString());
    await empty.close();
    expect(samples.get('bootward_ready')).toBe(0);
    expect([...samples.keys()].filter((name) => name.startsWith('bootward_metadata'))).toEqual([]);
  });
});

describe('what happens is counted', () => {
  test('a boot: its verdict, the time it took, the grant', async () => {
    const before = await read();
    await node.powerCycle();
    expect((await node.attest()).status).toBe(200);
    const after = await read();
    const grown = [...after].flatMap(([name, value]) => (value > (before.get(name) ?? 0) ? [name] : []));
    expect(grown).toEqual(
      expect.arrayContaining([
        'bootward_verdicts_total{purpose="boot",verdict="accept"}',
        'bootward_boots_total{outcome="granted"}',
        'bootward_evidence_verification_seconds_count',
        'bootward_http_requests_total{door="agents",route="/v1/evidence",status="2xx"}',
      ]),
    );
  });

  test('a refusal by its code', async () => {
    await node.powerCycle();
    const sample = 'bootward_verdict_reasons_total{code="pcr14-not-zero"}';
    const attack = () =>
      node.attest({ pcrs: (pcrs) => pcrs.set(14, sha256(new Uint8Array(32), Buffer.alloc(32, 1))) });
    expect(await growth(sample, attack)).toBe(1);
    const codes = [...(await read()).keys()].flatMap(
      (name) => /reasons_total\{code="(.*)"/.exec(name)?.[1] ?? [],
    );
    for (const code of codes) expect(Object.keys(REASONS)).toContain(code);
  });

  test('a running system that reports, by what it says', async () => {
    await node.powerCycle();
    await node.attest();
    const digest = world.release.listing.sha256;
    expect(await growth('bootward_boots_total{outcome="healthy"}', () => node.prove('health', digest))).toBe(
      1,
    );
  });

  test('bytes of artifacts, as many as were asked for', async () => {
    await node.powerCycle();
    const grant = await node.grant();
    const { sha256: digest } = world.release.listing;
    const sample = 'bootward_artifact_sent_bytes_total';
    let sent = 0;
    const grown = await growth(sample, async () => {
      for (const headers of [undefined, { range: 'bytes=0-9' }]) {
        const answer = await node.fetch(digest, grant, headers);
        expect(answer.status).toBeLessThan(300);
        sent += answer.bytes.length;
      }
    });
    expect(grown).toBe(sent);
  });

  test('an unknown address is no label', async () => {
    const sample = 'bootward_http_requests_total{door="agents",route="none",status="4xx"}';
    expect(await growth(sample, async () => (await world.stranger()).call('/v1/none-such'))).toBe(1);
  });
});

describe('what is so now', () => {
  test('nodes by status, and the suspects among them', async () => {
    const stranger = await world.createNode();
    await stranger.enrol();
    world.database((database) =>
      database.prepare(`update nodes set suspect_since = 1 where id = ?`).run(node.id),
    );
    const samples = await read();
    world.database((database) => database.exec('update nodes set suspect_since = null'));
    expect(samples.get('bootward_nodes{status="enrolled"}')).toBe(1);
    expect(samples.get('bootward_nodes{status="pending"}')).toBe(1);
    expect(samples.get('bootward_nodes{status="revoked"}')).toBe(0);
    expect(samples.get('bootward_nodes_suspect')).toBe(1);
  });

  test('challenges that nobody has answered', async () => {
    expect(await growth('bootward_challenges_open', () => node.challenge())).toBe(1);
  });

  test('rollouts by state', async () => {
    await world.desk.addRelease(2);
    await world.publishDesk();
    const body = { version: 1, plan: { steps: ['100%'], soakSeconds: 0 } };
    const path = '/admin/v1/channels/demo/rollout';
    expect((await world.operators(path, { method: 'POST', body })).status).toBe(200);
    const samples = await read();
    expect(samples.get('bootward_rollouts{state="running"}')).toBe(1);
    expect(samples.get('bootward_rollouts{state="halted"}')).toBe(0);
  });

  test('is counted once in 10 seconds, however often somebody asks', async () => {
    const counted = (await read()).get('bootward_challenges_open');
    await node.challenge();
    const { bytes } = await world.operators('/metrics');
    expect(samplesOf(bytes.toString()).get('bootward_challenges_open')).toBe(counted);
    expect((await read()).get('bootward_challenges_open')).toBe((counted ?? 0) + 1);
  });

  test('a database that does not answer takes its figures away', async () => {
    world.database((database) => database.exec('alter table nodes rename to lost'));
    const samples = await read();
    world.database((database) => database.exec('alter table lost rename to nodes'));
    expect(samples.get('bootward_ready')).toBe(0);
    expect([...samples.keys()].filter((name) => name.startsWith('bootward_nodes'))).toEqual([]);
    expect((await read()).get('bootward_ready')).toBe(1);
  });

  test.each([
    'select status, count(*) from nodes group by status',
    "select count(*) from nodes where status = 'enrolled' and suspect_since is not null",
  ])('is counted from an index, without rows or sorting: %s', (query) => {
    const plan = world.database((database) => database.prepare(`explain query plan ${query}`).all());
    expect(plan.map(({ detail }) => String(detail))).toEqual([
      expect.stringContaining('COVERING INDEX nodes_by_status'),
    ]);
  });
});

test('every figure in the documentation is there', async () => {
  const documentation = readFileSync(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8');
  const named = new Set(documentation.match(/bootward_[a-z_]+/g));
  const families = [...parseOpenMetrics((await world.operators('/metrics')).bytes.toString())];
  const there = families.flatMap(([name, { type, samples }]) =>
    type === 'histogram'
      ? [name]
      : [...samples.keys(), `${name}_total`].map((key) => key.replace(/\{.*/, '')),
  );
  expect([...named].filter((name) => !there.includes(name))).toEqual([]);
  const served = families.map(([name, { type }]) => (type === 'counter' ? `${name}_total` : name));
  expect(served.filter((name) => !named.has(name))).toEqual([]);
});

test('a program watches its process too', async () => {
  const { registry } = createMetrics({ ofProcess: true });
  const text = await registry.metrics();
  expect(text).toMatch(/^process_resident_memory_bytes [1-9]/m);
  expect(text).toMatch(/^process_cpu_seconds_total /m);
  expect(text.endsWith('# EOF\n')).toBe(true);
});
