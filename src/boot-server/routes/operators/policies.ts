import { Type } from 'typebox';
import type { PolicyStore, StoredPolicy } from '../../../attestation/policy/policy-store.ts';
import { type Clock, secondsOf } from '../../../core/clock.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import type { PolicyService } from '../../services/policies.ts';
import type { PolicyTrial } from '../../services/policy-trial.ts';
import { ChannelName, NodeId } from '../wire.ts';

const closed = { additionalProperties: false };
const Document = Type.String({ minLength: 1, maxLength: 65_536 });
const Params = Type.Object({ name: ChannelName }, closed);
const ApplyBody = Type.Object({ document: Document }, closed);
const ReasonBody = Type.Object({ reason: Type.Optional(Type.String({ maxLength: 500 })) }, closed);
const TestBody = Type.Object(
  { document: Document, nodeIds: Type.Optional(Type.Array(NodeId, { minItems: 1, maxItems: 1000 })) },
  closed,
);

export function registerPolicyRoutes(
  app: OperatorsApp,
  on: { policyStore: PolicyStore; policies: PolicyService; policyTrial: PolicyTrial; clock: Clock },
): void {
  app.get('/admin/v1/policies', async () => ({
    policies: (await on.policyStore.listPolicies()).map(describePolicy),
  }));

  app.get('/admin/v1/policies/:name', { schema: { params: Params } }, async (request) => {
    const versions = await on.policyStore.listPolicyVersions(request.params.name);
    if (versions.length === 0) throw new Problem('not-found', `there is no policy ${request.params.name}`);
    return {
      versions: versions.map((policy) => ({
        ...describePolicy(policy),
        inForce: policy.inForce,
        document: policy.document,
      })),
    };
  });

  app.post('/admin/v1/policies', { schema: { body: ApplyBody } }, async (request) => {
    const { policy, outcome } = await on.policies.apply(request.body.document);
    return { name: policy.name, version: policy.version, outcome };
  });

  app.post(
    '/admin/v1/policies/:name/withdraw',
    { schema: { params: Params, body: ReasonBody } },
    async (request) => {
      const { name } = request.params;
      const atSeconds = secondsOf(on.clock);
      const outcome = await on.policyStore.withdrawPolicy({ name, atSeconds, ...request.body });
      if (outcome === 'unknown') throw new Problem('not-found', `no policy ${name} is in force`);
      return { name };
    },
  );

  /** Decides and records nothing: what the candidate would have said to each node's last evidence. */
  app.post('/admin/v1/policies/test', { schema: { body: TestBody } }, async (request) => ({
    results: await on.policyTrial.run(request.body),
  }));
}

function describePolicy({ name, version, channels, appliedAtSeconds }: StoredPolicy) {
  return { name, version, channels, appliedAt: appliedAtSeconds };
}
