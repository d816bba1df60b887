import { type Static, type TObject, Type } from 'typebox';
import type { SlotContent } from '../../../releases/channel.ts';
import type { ChannelCommand } from '../../../releases/channel-command.ts';
import { experienceOf } from '../../../releases/node-releases.ts';
import { releaseStateOf } from '../../../releases/release-state.ts';
import { isOpen, type Rollout } from '../../../releases/rollout.ts';
import { DEFAULT_PLAN, describeStep, parseStep, type RolloutPlan } from '../../../releases/rollout-plan.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import type { ChannelService, ChannelView, RolloutReport } from '../../services/channels.ts';
import { ChannelName } from '../wire.ts';

const closed = { additionalProperties: false };
const MAX_VERSION = Number.MAX_SAFE_INTEGER;
const Params = Type.Object({ channel: ChannelName }, closed);
const Reason = Type.Optional(Type.String({ maxLength: 500 }));
const Version = Type.Integer({ minimum: 1, maximum: MAX_VERSION });
const Count = Type.Integer({ minimum: 0, maximum: MAX_VERSION });
const PlanBody = Type.Object(
  {
    steps: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 32 })),
    soakSeconds: Type.Optional(Count),
    failureBudget: Type.Optional(Count),
    concurrency: Type.Optional(Count),
    quorumPercent: Type.Optional(Count),
  },
  closed,
);
const ReasonBody = Type.Object({ reason: Reason }, closed);
const StageBody = Type.Object({ version: Version, reason: Reason }, closed);
const StartBody = Type.Object({ version: Version, plan: Type.Optional(PlanBody), reason: Reason }, closed);
const ResumeBody = Type.Object({ failureBudget: Type.Optional(Count), reason: Reason }, closed);
const HealthBody = Type.Object(
  {
    maxTries: Type.Integer({ minimum: 1, maximum: 100 }),
    healthWindowSeconds: Type.Integer({ minimum: 1, maximum: 7 * 86_400 }),
    reason: Reason,
  },
  closed,
);

/** Slots and rollouts, for operators. */
export function registerChannelRoutes(app: OperatorsApp, on: { channelService: ChannelService }): void {
  const { channelService: service } = on;

  /** Every command is a call of its own: who may send one cannot send another by what is in the body. */
  function command<Body extends TObject>(
    path: string,
    body: Body,
    toCommand: (body: Static<Body>) => ChannelCommand,
  ): void {
    app.post(`/admin/v1/channels/:channel/${path}`, { schema: { params: Params, body } }, async (request) => {
      const { channel } = request.params as Static<typeof Params>;
      const said = request.body as Static<Body> & { reason?: string };
      return describeChannel(await service.carryOut(channel, toCommand(said), said.reason));
    });
  }

  app.get('/admin/v1/channels', async () => ({ channels: (await service.list()).map(describeChannel) }));

  app.get('/admin/v1/channels/:channel', { schema: { params: Params } }, async ({ params }) =>
    describeChannel(await service.find(params.channel)),
  );

  command('stage', StageBody, ({ version }) => ({ kind: 'stage', version }));
  command('promote', ReasonBody, () => ({ kind: 'promote' }));
  command('rollback', ReasonBody, () => ({ kind: 'roll-back' }));
  command('follow', ReasonBody, () => ({ kind: 'follow' }));
  command('health', HealthBody, ({ maxTries, healthWindowSeconds }) => ({
    kind: 'set-health',
    health: { maxTries, healthWindowSeconds },
  }));
  command('rollout', StartBody, ({ version, plan }) => ({
    kind: 'start-rollout',
    version,
    plan: toPlan(plan),
  }));
  command('rollout/pause', ReasonBody, ({ reason }) => ({
    kind: 'pause-rollout',
    ...(reason !== undefined && { reason }),
  }));
  command('rollout/abort', ReasonBody, ({ reason }) => ({
    kind: 'abort-rollout',
    ...(reason !== undefined && { reason }),
  }));
  command('rollout/resume', ResumeBody, ({ failureBudget }) => ({
    kind: 'resume-rollout',
    ...(failureBudget !== undefined && { failureBudget }),
  }));

  app.get('/admin/v1/channels/:channel/rollout', { schema: { params: Params } }, async ({ params }) => {
    const report = await service.reportRollout(params.channel);
    if (report === undefined)
      throw new Problem('rollout-missing', `channel ${params.channel} never had a rollout`);
    return describeReport(report);
  });
}

/** What is not said is as in the default plan. @throws {ReleaseError} `plan-invalid` */
function toPlan(body: Static<typeof PlanBody> = {}): RolloutPlan {
  const { steps, ...numbers } = body;
  return { ...DEFAULT_PLAN, ...numbers, ...(steps && { steps: steps.map(parseStep) }) };
}

function describeChannel({ channel, listed }: ChannelView) {
  const releases = listed.map(({ listing }) => ({
    version: listing.version,
    name: listing.name,
    digest: listing.sha256,
    state: releaseStateOf(listing.sha256, { channel, listed }),
  }));
  const common = { channel: channel.channel, mode: channel.mode, releases };
  if (channel.mode === 'follow') return common;
  const { active, slots, health, rollout } = channel;
  const describeSlot = (content: SlotContent | undefined) =>
    content === undefined
      ? null
      : {
          version: content.version,
          digest: content.releaseDigest,
          state: releaseStateOf(content.releaseDigest, { channel, listed }),
          stagedAt: content.stagedAtSeconds,
          activatedAt: content.activatedAtSeconds ?? null,
        };
  return {
    ...common,
    active,
    slots: { A: describeSlot(slots.A), B: describeSlot(slots.B) },
    previous: describeSlot(channel.previous),
    health,
    rollout: rollout === undefined ? null : describeRolloutState(rollout),
  };
}

function describeRolloutState(rollout: Rollout) {
  const { plan, step, reason, endedAtSeconds } = rollout;
  return {
    id: rollout.id,
    state: rollout.state,
    isOpen: isOpen(rollout),
    version: rollout.version,
    digest: rollout.releaseDigest,
    step: step + 1,
    plan: { ...plan, steps: plan.steps.map(describeStep) },
    reason: reason ?? null,
    startedAt: rollout.startedAtSeconds,
    stepStartedAt: rollout.stepStartedAtSeconds,
    endedAt: endedAtSeconds ?? null,
  };
}

function describeReport({ channel, tally, waitsFor, nodes }: RolloutReport) {
  const { rollout, health } = channel;
  return {
    channel: channel.channel,
    ...(rollout && describeRolloutState(rollout)),
    tally,
    waitsFor,
    nodes: nodes.flatMap(({ history, report }) => {
      const record = rollout && history.releases.get(rollout.releaseDigest);
      if (record === undefined) return [];
      const { lastBoot, lastFailure } = record;
      return [
        {
          id: history.nodeId,
          experience: experienceOf(record, health),
          failedTries: record.failedTries,
          maxTries: health.maxTries,
          lastBoot: { at: lastBoot.grantedAtSeconds, outcome: lastBoot.outcome },
          lastFailure: lastFailure ? { kind: lastFailure.kind, at: lastFailure.atSeconds } : null,
          report: report ? { text: report.text, at: report.atSeconds } : null,
        },
      ];
    }),
  };
}
