import { Type } from 'typebox';
import type { AttestationStore } from '../../../attestation/attestation-store.ts';
import type { ChannelStore } from '../../../releases/channel-store.ts';
import { describeExperience, type NodeHistory } from '../../../releases/node-releases.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import type { ChannelService, NodeChoice } from '../../services/channels.ts';
import { type ReleaseChoice, rulesOf } from '../../services/release-choice.ts';
import { NodeId } from '../wire.ts';

const closed = { additionalProperties: false };
const Params = Type.Object({ id: NodeId }, closed);
const Reason = Type.Optional(Type.String({ maxLength: 500 }));
const ReasonBody = Type.Object({ reason: Reason }, closed);
const PinBody = Type.Object(
  { version: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), reason: Reason },
  closed,
);
/** Without a group: it leaves its group. */
const GroupBody = Type.Object(
  {
    group: Type.Optional(Type.String({ pattern: '^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$' })),
    reason: Reason,
  },
  closed,
);

/** What an operator decides about the releases of one node. */
export function registerNodeChoiceRoutes(
  app: OperatorsApp,
  on: {
    store: Pick<AttestationStore, 'findNode'>;
    channels: ChannelStore;
    channelService: ChannelService;
    releaseChoice: Pick<ReleaseChoice, 'preview'>;
  },
): void {
  async function findNode(id: string) {
    const node = await on.store.findNode(id);
    if (node === undefined) throw new Problem('node-unknown', `there is no node ${id}`);
    return node;
  }

  async function describe(history: NodeHistory, channel: string) {
    const rules = rulesOf(await on.channels.findChannel(channel));
    const reports = await on.channels.listReports(history.nodeId);
    const next = await on.releaseChoice.preview({ nodeId: history.nodeId, channel });
    return {
      id: history.nodeId,
      group: history.group ?? null,
      pin: history.pin ?? null,
      next: { version: next.release?.listing.version ?? null, reasons: next.reasons },
      releases: [...history.releases.values()].map((record) => ({
        version: record.version,
        digest: record.releaseDigest,
        experience: describeExperience(record, rules),
        report: reports.get(record.releaseDigest)?.text ?? null,
      })),
    };
  }

  async function change(id: string, choice: NodeChoice, reason?: string) {
    const node = await findNode(id);
    return describe(await on.channelService.changeNode(node, choice, reason), node.channel);
  }

  app.get('/admin/v1/nodes/:id/releases', { schema: { params: Params } }, async ({ params }) => {
    const node = await findNode(params.id);
    return describe(await on.channels.findHistory(node.id), node.channel);
  });

  app.post('/admin/v1/nodes/:id/pin', { schema: { params: Params, body: PinBody } }, ({ params, body }) =>
    change(params.id, { kind: 'pin', version: body.version }, body.reason),
  );

  app.post('/admin/v1/nodes/:id/group', { schema: { params: Params, body: GroupBody } }, ({ params, body }) =>
    change(params.id, { kind: 'group', group: body.group }, body.reason),
  );

  for (const kind of ['unpin', 'retry'] as const)
    app.post(
      `/admin/v1/nodes/:id/${kind}`,
      { schema: { params: Params, body: ReasonBody } },
      ({ params, body }) => change(params.id, { kind }, body.reason),
    );
}
