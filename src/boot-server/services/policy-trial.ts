import type { Attester } from '../../attestation/appraisal.ts';
import type { AttestationStore, StoredVerdict } from '../../attestation/attestation-store.ts';
import type { NodeRecord } from '../../attestation/node.ts';
import type { Policy } from '../../attestation/policy/policy.ts';
import type { PolicyStore } from '../../attestation/policy/policy-store.ts';
import { appraiseRecorded } from '../../attestation/policy/recorded-evidence.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { PolicySource } from './appraiser.ts';
import type { PolicyService } from './policies.ts';
import type { RepositoryService } from './repository.ts';

export interface PolicyTrial {
  /** Holds a candidate, and what is in force, against the last evidence that is kept of each node. */
  run(trial: { document: string; nodeIds?: readonly string[] }): Promise<PolicyTrialResult[]>;
}

export interface PolicyTrialResult {
  nodeId: string;
  /** Under the policy in force. */
  inForce?: TrialVerdict;
  candidate?: TrialVerdict;
  /** When there was nothing to try it on. */
  why?: string;
}

export type TrialVerdict = ReturnType<typeof appraiseRecorded>;

const RECENT_VERDICTS = 20;

export function createPolicyTrial(on: {
  store: AttestationStore;
  policyStore: PolicyStore;
  policies: PolicyService;
  repository: RepositoryService;
  clock: Clock;
}): PolicyTrial {
  async function lastEvidence(nodeId: string): Promise<StoredVerdict | undefined> {
    const verdicts = await on.store.listVerdicts({ nodeId, limit: RECENT_VERDICTS });
    return verdicts.find(({ evidenceDocument }) => evidenceDocument !== undefined);
  }

  async function tryOn(node: NodeRecord, candidate: Policy): Promise<PolicyTrialResult> {
    const verdict = await lastEvidence(node.id);
    if (verdict?.evidenceDocument === undefined) return { nodeId: node.id, why: 'no evidence is kept' };
    const baseline = await on.policyStore.findBaseline(node.id);
    const attester: Attester = { ...node, ...(baseline && { baseline }) };
    const inForce = await on.policies.source({ channel: node.channel, nodeId: node.id });
    const underPolicy = (given: Awaited<ReturnType<PolicySource>>) =>
      appraiseRecorded({
        evidenceDocument: verdict.evidenceDocument ?? '',
        attester,
        stage0References: on.repository.current()?.stage0 ?? [],
        nowSeconds: secondsOf(on.clock),
        ...given,
      });
    return {
      nodeId: node.id,
      inForce: underPolicy(inForce),
      candidate: underPolicy({ ...inForce, policy: candidate }),
    };
  }

  return {
    async run({ document, nodeIds }) {
      const candidate = on.policies.parse(document);
      const nodes = (await on.store.listNodes()).filter(({ id }) => nodeIds?.includes(id) !== false);
      const results: PolicyTrialResult[] = [];
      for (const node of nodes) results.push(await tryOn(node, candidate));
      return results;
    },
  };
}
