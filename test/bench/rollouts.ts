import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createChannel,
  type SlottedChannel,
  stage,
  switchSlots,
  useSlots,
} from '../../src/releases/channel.ts';
import { decideRelease } from '../../src/releases/decision.ts';
import { bookGrant, bookHealth, type NodeHistory } from '../../src/releases/node-releases.ts';
import { channelEvents } from '../../src/releases/release-events.ts';
import { startRollout } from '../../src/releases/rollout-commands.ts';
import { DEFAULT_PLAN } from '../../src/releases/rollout-plan.ts';
import { tallyOf } from '../../src/releases/tally.ts';
import { type Database, openDatabase } from '../../src/storage/database.ts';
import { createSqlChannelStore } from '../../src/storage/sql-channels.ts';
import { releaseOf } from '../releases/simulated-channel.ts';
import { type Measurement, median } from './bench-process.ts';

const FLEETS = [1000, 10_000, 100_000];
const TABLE = 10_000;
const AT_SECONDS = 1_000_000;

/** Decisions are of one core and count its CPU time; switching is what an operator waits for, with its durable write. */
export async function benchRollouts(): Promise<Measurement[]> {
  return [...FLEETS.flatMap(benchDecisions), ...(await benchSwitching())];
}

/** A rollout in its second step; most nodes are healthy somewhere, every twentieth has given the new release up. */
function benchDecisions(size: number): Measurement[] {
  const listed = [releaseOf(1), releaseOf(2)];
  const channel = rollingChannel();
  const nodes = Array.from({ length: size }, (_, index) => nodeOf(index));
  const { rollout } = channel;
  if (rollout === undefined) throw new Error('there is no rollout to decide in');
  const round = () => {
    for (const node of nodes)
      decideRelease({ channel, listed, node, tally: { open: 1, away: 0, failed: 1 } });
  };
  const count = () =>
    tallyOf(rollout, { histories: nodes, departed: 0, health: channel.health, nowSeconds: AT_SECONDS });
  round();
  const decision = median(Array.from({ length: 5 }, () => cpuMicroseconds(round) / size));
  const tally = median(Array.from({ length: 5 }, () => cpuMicroseconds(count) / size));
  const fleet = size.toLocaleString('en');
  return [
    { name: `one decision in a fleet of ${fleet}, µs`, value: decision.toFixed(2), aim: '≤ 20' },
    { name: `counting a fleet of ${fleet} for the next step, µs a node`, value: tally.toFixed(2), aim: '' },
  ];
}

async function benchSwitching(): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-bench-'));
  const database = await openDatabase(join(folder, 'state.db'));
  try {
    await fillNodes(database);
    const store = createSqlChannelStore(database);
    let state = useSlots(createChannel('lab'), { inForce: releaseOf(1), atSeconds: AT_SECONDS });
    state = stage(state, releaseOf(2), AT_SECONDS);
    await store.saveChannel({
      before: createChannel('lab'),
      after: state,
      events: [],
      atSeconds: AT_SECONDS,
    });
    const times: number[] = [];
    for (let round = 0; round < 40; round += 1) {
      const before = performance.now();
      const current = await store.findChannel('lab');
      if (current.mode !== 'slots') throw new Error('the channel has lost its slots');
      const after = switchSlots(current, AT_SECONDS + round);
      const events = channelEvents(current, after);
      const outcome = await store.saveChannel({
        before: current,
        after,
        events,
        atSeconds: AT_SECONDS + round,
      });
      if (outcome !== 'saved') throw new Error('nobody else is here');
      times.push(performance.now() - before);
    }
    times.sort((a, b) => a - b);
    return [
      {
        name: `switching slots with ${TABLE.toLocaleString('en')} nodes, ms (middle)`,
        value: median(times).toFixed(2),
        aim: '≤ 50',
      },
      { name: 'the slowest of 40, ms', value: (times.at(-1) ?? Number.NaN).toFixed(2), aim: '≤ 50' },
    ];
  } finally {
    await database.destroy();
    await rm(folder, { recursive: true, force: true });
  }
}

async function fillNodes(database: Database): Promise<void> {
  await database.transaction().execute(async (tx) => {
    for (let index = 0; index < TABLE; index += 1) {
      const id = `n-${index.toString(16).padStart(20, '0')}`;
      await tx
        .insertInto('nodes')
        .values({
          id,
          channel: 'lab',
          status: 'enrolled',
          identity: 'certified',
          admission: 'listed',
          ak_public: new Uint8Array(90),
          ak_name: index.toString(16).padStart(68, '0'),
          untrusted_hints: '{}',
          created_at: AT_SECONDS,
        })
        .execute();
      await tx
        .insertInto('node_releases')
        .values({
          node_id: id,
          release_digest: releaseOf(1).listing.sha256,
          version: 1,
          experience: 'healthy',
          failed_tries: 0,
          reset_count: 1,
          restart_count: 0,
          granted_at: AT_SECONDS,
          outcome: 'healthy',
          healthy_at: AT_SECONDS,
        })
        .execute();
    }
  });
}

function rollingChannel(): SlottedChannel {
  const slots = useSlots(createChannel('lab'), { inForce: releaseOf(1), atSeconds: AT_SECONDS });
  const started = startRollout(slots, {
    id: 'r-1',
    release: releaseOf(2),
    plan: DEFAULT_PLAN,
    atSeconds: AT_SECONDS,
  });
  return { ...started, ...(started.rollout && { rollout: { ...started.rollout, step: 1 } }) };
}

function nodeOf(index: number): NodeHistory {
  const empty: NodeHistory = { nodeId: `n-${index.toString(16).padStart(20, '0')}`, releases: new Map() };
  const cycle = { resetCount: 1, restartCount: 0, atSeconds: AT_SECONDS };
  const [first, second] = [1, 2].map((version) => ({
    releaseDigest: releaseOf(version).listing.sha256,
    version,
  }));
  if (first === undefined || second === undefined) return empty;
  const booted = bookHealth(bookGrant(empty, { ...cycle, ...first }), {
    ...cycle,
    ...first,
    health: 'healthy',
  });
  if (index % 20 !== 0) return booted;
  const tried = bookGrant(booted, { ...cycle, ...second, joins: { id: 'r-1' } });
  const record = tried.releases.get(second.releaseDigest);
  if (record === undefined) return tried;
  return {
    ...tried,
    releases: new Map([...tried.releases, [second.releaseDigest, { ...record, failedTries: 3 }]]),
  };
}

function cpuMicroseconds(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

if (import.meta.main) console.table(await benchRollouts());
