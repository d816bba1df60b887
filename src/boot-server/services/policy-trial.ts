import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Attester } from '../../attestation/appraisal.ts';
import type { AttestationStore, StoredVerdict } from '../../attestation/attestation-store.ts';
import { readQuotedLog } from '../../attestation/evidence/quoted-log.ts';
import type { NodeRecord } from '../../attestation/node.ts';
import type { Policy } from '../../attestation/policy/policy.ts';
import type { PolicyStore } from '../../attestation/policy/policy-store.ts';
import { appraiseRecorded } from '../../attestation/policy/recorded-evidence.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { Problem } from '../problems.ts';
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

/** As many as are kept of a node: what strangers sent in its name must not hide what it said itself. */
const MAX_VERDICTS = 500;

function isAuthentic(evidenceDocument: string): boolean {
  return readQuotedLog(evidenceDocument).quotedPcrs !== undefined;
}

export function createPolicyTrial(on: {
  store: AttestationStore;
  policyStore: PolicyStore;
  policies: PolicyService;
  repository: RepositoryService;
  clock: Clock;
}): PolicyTrial {
  async function lastEvidence(nodeId: string): Promise<StoredVerdict | undefined> {
    const verdicts = await on.store.listVerdicts({ nodeId, limit: MAX_VERDICTS });
    return verdicts.find(
      ({ evidenceDocument }) => evidenceDocument !== undefined && isAuthentic(evidenceDocument),
    );
  }

  async function tryOn(node: NodeRecord, candidate: Policy): Promise<PolicyTrialResult> {
    const verdict = await lastEvidence(node.id);
    if (verdict?.evidenceDocument === undefined) return { nodeId: node.id, why: 'no evidence is kept' };
    const baseline = await on.policyStore.findBaseline(node.id);
    const attester: Attester = { ...node, ...(baseline && { baseline }) };
    const place = { channel: node.channel, nodeId: node.id };
    const firmwareApprovals = await on.policies.approvalsFor(place);
    const underPolicy = (policy: Policy) =>
      appraiseRecorded({
        evidenceDocument: verdict.evidenceDocument ?? '',
        attester,
        firmwareApprovals,
        stage0References: on.repository.current()?.stage0 ?? [],
        nowSeconds: secondsOf(on.clock),
        policy,
      });
    const inForce = await policyInForce(place);
    return {
      nodeId: node.id,
      ...(inForce && { inForce: underPolicy(inForce) }),
      candidate: underPolicy(candidate),
    };
  }

  /** Undefined where the one in force cannot be read: its replacement must be tried all the same. */
  async function policyInForce(place: { channel: string; nodeId: string }): Promise<Policy | undefined> {
    try {
      return (await on.policies.source(place)).policy;
    } catch (cause) {
      if (cause instanceof Problem) return undefined;
      throw cause;
    }
  }

  return {
    async run({ document, nodeIds }) {
      const candidate = on.policies.parse(document);
      const nodes = await on.store.listNodes();
      const unknown = nodeIds?.find((wanted) => nodes.every(({ id }) => id !== wanted));
      if (unknown !== undefined) throw new Problem('node-unknown', `there is no node ${unknown}`);
      const results: PolicyTrialResult[] = [];
      for (const node of nodes.filter(({ id }) => nodeIds?.includes(id) !== false)) {
        results.push(await tryOn(node, candidate));
        await yieldToOthers();
      }
      return results;
    },
  };
}
