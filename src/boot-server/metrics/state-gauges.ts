import { Gauge } from 'prom-client';
import type { NodeStatus } from '../../attestation/node.ts';
import type { NodeFigures } from '../../attestation/node-figures.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { ChannelStore } from '../../releases/channel-store.ts';
import type { RolloutPhase } from '../../releases/rollout.ts';
import { freshnessOf } from '../../signing/tuf/freshness.ts';
import type { ReadinessService } from '../services/readiness.ts';
import type { RepositoryService } from '../services/repository.ts';
import type { MetricsRegistry } from './registry.ts';

/** Whoever asks more often hears the same again: asking is no way to keep the database busy. */
const COUNTED_EVERY_SECONDS = 10;

const NODE_STATUSES: Readonly<Record<NodeStatus, true>> = {
  pending: true,
  enrolled: true,
  rejected: true,
  revoked: true,
};
const ROLLOUT_STATES: Readonly<Record<RolloutPhase, true>> = {
  running: true,
  paused: true,
  halted: true,
  completed: true,
  aborted: true,
};

export interface StateSource {
  readonly repository: Pick<RepositoryService, 'current'>;
  readonly readiness: Pick<ReadinessService, 'faults'>;
  readonly channels: Pick<ChannelStore, 'listChannels'>;
  readonly figures: NodeFigures;
  readonly clock: Clock;
}

/**
 * What is so now. A database that does not answer takes its figures away, and `bootward_ready` is 0.
 *
 * @returns brings the figures up to date before they are read
 */
export function createStateGauges(registry: MetricsRegistry, on: StateSource): () => Promise<void> {
  const showMetadata = createMetadataGauges(registry, on);
  const showCounts = createCountGauges(registry, on);
  let countedAtSeconds = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | undefined;
  return async () => {
    showMetadata();
    const nowSeconds = secondsOf(on.clock);
    // Either way: somebody may have set the clock back.
    const isDue = Math.abs(nowSeconds - countedAtSeconds) >= COUNTED_EVERY_SECONDS;
    // A slow database is not helped by being asked once more.
    if (isDue && counting === undefined) {
      countedAtSeconds = nowSeconds;
      counting = showCounts().finally(() => {
        counting = undefined;
      });
    }
    await counting;
  };
}

function createMetadataGauges(registry: MetricsRegistry, { repository, clock }: StateSource): () => void {
  const registers = [registry];
  const age = new Gauge({
    name: 'bootward_metadata_timestamp_age_seconds',
    help: 'Since the timestamp that is served was signed. Absent when nothing is served.',
    registers,
  });
  const expiry = new Gauge({
    name: 'bootward_metadata_expires_in_seconds',
    help: 'Until the metadata of a role expire; negative afterwards. Absent when nothing is served.',
    labelNames: ['role'],
    registers,
  });
  return () => {
    // A gauge without labels that is reset would say 0: fresh.
    age.remove();
    expiry.reset();
    const verified = repository.current()?.verified;
    if (verified === undefined) return;
    const nowMs = clock.nowMs();
    const { ageSeconds } = freshnessOf(verified, nowMs);
    if (ageSeconds !== undefined) age.set(ageSeconds);
    for (const [role, { expiresMs }] of verified.roles)
      expiry.set({ role }, Math.floor((expiresMs - nowMs) / 1000));
  };
}

function createCountGauges(registry: MetricsRegistry, on: StateSource): () => Promise<void> {
  const registers = [registry];
  const ready = new Gauge({
    name: 'bootward_ready',
    help: '1 when a node that comes now could boot, as readyz says.',
    registers,
  });
  const nodes = new Gauge({
    name: 'bootward_nodes',
    help: 'Nodes by status.',
    labelNames: ['status'],
    registers,
  });
  const suspects = new Gauge({
    name: 'bootward_nodes_suspect',
    help: 'Enrolled nodes that are suspect.',
    registers,
  });
  const rollouts = new Gauge({
    name: 'bootward_rollouts',
    help: 'Channels by the state of their last rollout.',
    labelNames: ['state'],
    registers,
  });
  const challenges = new Gauge({
    name: 'bootward_challenges_open',
    help: 'Challenges that are neither answered nor expired.',
    registers,
  });

  async function showNodes(): Promise<void> {
    const counts = await on.figures.countNodes();
    for (const status of Object.keys(NODE_STATUSES)) nodes.set({ status }, 0);
    for (const { status, count } of counts) nodes.set({ status }, count);
    suspects.set(await on.figures.countSuspects());
  }

  async function showRollouts(): Promise<void> {
    const channels = await on.channels.listChannels();
    for (const state of Object.keys(ROLLOUT_STATES)) rollouts.set({ state }, 0);
    for (const channel of channels)
      if (channel.mode === 'slots' && channel.rollout) rollouts.inc({ state: channel.rollout.state });
  }

  return async () => {
    try {
      ready.set((await on.readiness.faults()).length === 0 ? 1 : 0);
      await showNodes();
      await showRollouts();
      challenges.set(await on.figures.countOpenChallenges(secondsOf(on.clock)));
    } catch {
      ready.set(0);
      for (const gauge of [suspects, challenges]) gauge.remove();
      for (const gauge of [nodes, rollouts]) gauge.reset();
    }
  };
}
