import { Type } from 'typebox';
import type { AttestationStore, StoredVerdict } from '../../../attestation/attestation-store.ts';
import { ekGroupsOf, type NodeRecord, type NodeSession, type NodeStatus } from '../../../attestation/node.ts';
import type { PolicyStore } from '../../../attestation/policy/policy-store.ts';
import { type Clock, secondsOf } from '../../../core/clock.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import { ChannelName, NodeId } from '../wire.ts';

const closed = { additionalProperties: false };
const Params = Type.Object({ id: NodeId }, closed);
const Reason = Type.Optional(Type.String({ maxLength: 500 }));
const ApproveBody = Type.Object({ reason: Reason, channel: Type.Optional(ChannelName) }, closed);
const ReasonBody = Type.Object({ reason: Reason }, closed);
/** Whoever lowers a floor says why. */
const ResetFloorBody = Type.Object({ reason: Type.String({ minLength: 1, maxLength: 500 }) }, closed);
const MoveBody = Type.Object(
  { channel: ChannelName, reason: Type.String({ minLength: 1, maxLength: 500 }) },
  closed,
);
const RECENT_VERDICTS = 20;

export function registerNodeRoutes(
  app: OperatorsApp,
  on: { store: AttestationStore; policyStore: Pick<PolicyStore, 'forgetBaseline'>; clock: Clock },
): void {
  async function findNode(id: string): Promise<NodeRecord> {
    const node = await on.store.findNode(id);
    if (node === undefined) throw new Problem('node-unknown', `there is no node ${id}`);
    return node;
  }

  async function change(
    id: string,
    wanted: {
      from: readonly NodeStatus[];
      to: NodeStatus;
      admission?: 'approved' | 'pending';
      channel?: string;
      reason?: string;
    },
  ) {
    const node = await findNode(id);
    const outcome = await on.store.changeNodeStatus({
      nodeId: id,
      ...wanted,
      atSeconds: secondsOf(on.clock),
    });
    if (outcome === 'unchanged')
      throw new Problem(
        'node-state-conflict',
        `node ${id} is ${node.status}; only ${wanted.from.join(' or ')} can become ${wanted.to}`,
      );
    return describeNode(await findNode(id));
  }

  app.get('/admin/v1/nodes', async () => ({ nodes: (await on.store.listNodes()).map(describeNode) }));

  app.get('/admin/v1/nodes/:id', { schema: { params: Params } }, async (request) => {
    const node = await findNode(request.params.id);
    const verdicts = await on.store.listVerdicts({ nodeId: node.id, limit: RECENT_VERDICTS });
    return { ...describeNode(node), verdicts: verdicts.map(describeVerdict) };
  });

  app.post(
    '/admin/v1/nodes/:id/approve',
    { schema: { params: Params, body: ApproveBody } },
    async (request) =>
      change(request.params.id, {
        from: ['pending'],
        to: 'enrolled',
        admission: 'approved',
        ...request.body,
      }),
  );

  app.post('/admin/v1/nodes/:id/reject', { schema: { params: Params, body: ReasonBody } }, async (request) =>
    change(request.params.id, { from: ['pending'], to: 'rejected', ...request.body }),
  );

  app.post('/admin/v1/nodes/:id/revoke', { schema: { params: Params, body: ReasonBody } }, async (request) =>
    change(request.params.id, { from: ['enrolled', 'pending', 'rejected'], to: 'revoked', ...request.body }),
  );

  app.post('/admin/v1/nodes/:id/readmit', { schema: { params: Params, body: ReasonBody } }, async (request) =>
    change(request.params.id, { from: ['rejected'], to: 'pending', admission: 'pending', ...request.body }),
  );

  for (const mark of ['rotate-ak', 'allow-new-ak', 'assert-rom', 'withdraw-rom', 'reset-floor'] as const)
    app.post(
      `/admin/v1/nodes/:id/${mark}`,
      { schema: { params: Params, body: mark === 'reset-floor' ? ResetFloorBody : ReasonBody } },
      async (request) => {
        const node = await findNode(request.params.id);
        const atSeconds = secondsOf(on.clock);
        if ((await on.store.markNode({ nodeId: node.id, mark, atSeconds, ...request.body })) === 'unchanged')
          throw new Problem(
            'node-state-conflict',
            `node ${node.id} is ${node.status}: that is for others only`,
          );
        return describeNode(await findNode(node.id));
      },
    );

  app.post('/admin/v1/nodes/:id/move', { schema: { params: Params, body: MoveBody } }, async (request) => {
    const node = await findNode(request.params.id);
    const move = { nodeId: node.id, atSeconds: secondsOf(on.clock), ...request.body };
    if ((await on.store.moveNode(move)) === 'unchanged')
      throw new Problem(
        'node-state-conflict',
        `node ${node.id} is ${node.status}, in channel ${node.channel}`,
      );
    return describeNode(await findNode(node.id));
  });

  app.post(
    '/admin/v1/nodes/:id/lift-hold',
    { schema: { params: Params, body: ReasonBody } },
    async (request) => {
      const { id } = await findNode(request.params.id);
      await on.store.forgetCounters({ nodeId: id, atSeconds: secondsOf(on.clock), ...request.body });
      return describeNode(await findNode(id));
    },
  );

  app.post(
    '/admin/v1/nodes/:id/forget-baseline',
    { schema: { params: Params, body: ReasonBody } },
    async (request) => {
      const { id } = await findNode(request.params.id);
      const atSeconds = secondsOf(on.clock);
      await on.policyStore.forgetBaseline({ nodeId: id, atSeconds, ...request.body });
      return describeNode(await findNode(id));
    },
  );
}

function describeNode(node: NodeRecord) {
  return {
    id: node.id,
    status: node.status,
    identity: node.identity,
    admission: node.admission,
    state: node.state ?? null,
    channel: node.channel,
    ekFingerprints: node.ekFingerprints,
    ekGroups: ekGroupsOf(node.ekFingerprints[0] ?? ''),
    manufacturer: node.manufacturer ?? null,
    akName: node.akName,
    akGeneration: node.akGeneration,
    akMayChange: node.akMayChange,
    akRotationDue: node.akRotationDue,
    romAsserted: node.romAsserted,
    suspect: node.suspect ? { since: node.suspect.sinceSeconds, reason: node.suspect.reason } : null,
    session: describeSession(node.session),
    floor: describeFloor(node),
    floorReset: node.floorReset ?? false,
    hints: node.untrustedHints,
    createdAt: node.createdAtSeconds,
    lastVerdictAt: node.lastVerdictAtSeconds ?? null,
  };
}

function describeSession(session: NodeSession | undefined) {
  if (session === undefined) return null;
  return {
    releaseDigest: session.releaseDigest,
    stage0Sha256: session.stage0Sha256 ?? null,
    resetCount: session.resetCount,
    restartCount: session.restartCount,
    startedAt: session.startedAtSeconds,
    provenAt: session.provenAtSeconds,
  };
}

/** Null where none is expected; without versions where the first one is. */
function describeFloor({ floor, floorExpected }: NodeRecord) {
  if (floor === undefined) return floorExpected ? { shown: false } : null;
  const { channelHash, signedAtSeconds, ...versions } = floor;
  return { shown: true, ...versions, channelHash, signedAt: signedAtSeconds };
}

/** Without the evidence itself, which is fetched alone. */
export function describeVerdict(verdict: StoredVerdict) {
  return {
    id: verdict.id,
    nodeId: verdict.nodeId ?? null,
    purpose: verdict.purpose,
    verdict: verdict.verdict,
    reasons: verdict.reasons,
    notes: verdict.notes,
    facts: verdict.facts ?? null,
    releaseDigest: verdict.releaseDigest ?? null,
    hasEvidence: verdict.evidenceDocument !== undefined,
    at: verdict.atSeconds,
  };
}
