import { Type } from 'typebox';
import type { FirmwareApproval } from '../../../attestation/policy/baseline.ts';
import type { PolicyStore } from '../../../attestation/policy/policy-store.ts';
import { type Clock, secondsOf } from '../../../core/clock.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import type { FirmwareService } from '../../services/firmware.ts';
import { ChannelName } from '../wire.ts';

const closed = { additionalProperties: false };
const Reason = Type.Optional(Type.String({ maxLength: 500 }));
const Params = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,14}$' }) }, closed);
const ApproveBody = Type.Object(
  {
    verdictId: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    scope: Type.Union([
      Type.Literal('node'),
      Type.Literal('all'),
      Type.Object({ channel: ChannelName }, closed),
    ]),
    name: Type.Optional(Type.String({ pattern: '^[\\x20-\\x7e]{1,100}$' })),
    reason: Reason,
  },
  closed,
);
const WithdrawBody = Type.Object({ reason: Reason }, closed);

/** Firmware that operators have found good. */
export function registerFirmwareApprovalRoutes(
  app: OperatorsApp,
  on: { policyStore: PolicyStore; firmware: FirmwareService; clock: Clock },
): void {
  app.get('/admin/v1/firmware/approvals', async () => ({
    approvals: (await on.policyStore.listFirmwareApprovals()).map(describeApproval),
  }));

  app.post('/admin/v1/firmware/approvals', { schema: { body: ApproveBody } }, async (request) =>
    describeApproval(await on.firmware.approve(request.body)),
  );

  app.post(
    '/admin/v1/firmware/approvals/:id/withdraw',
    { schema: { params: Params, body: WithdrawBody } },
    async (request) => {
      const id = Number(request.params.id);
      const atSeconds = secondsOf(on.clock);
      const outcome = await on.policyStore.withdrawFirmwareApproval({ id, atSeconds, ...request.body });
      if (outcome === 'unknown') throw new Problem('not-found', `there is no firmware approval ${id}`);
      return { id };
    },
  );
}

function describeApproval({ approvedAtSeconds, ...approval }: FirmwareApproval) {
  return { ...approval, approvedAt: approvedAtSeconds };
}
