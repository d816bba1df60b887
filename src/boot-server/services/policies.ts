import type { FirmwareApproval } from '../../attestation/policy/baseline.ts';
import { PolicyError, parsePolicy } from '../../attestation/policy/parse-policy.ts';
import type { Policy } from '../../attestation/policy/policy.ts';
import type { PolicyStore, StoredPolicy } from '../../attestation/policy/policy-store.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { Problem } from '../problems.ts';
import type { PolicySource } from './appraiser.ts';

export interface PolicyService {
  /** Read afresh each time: what was applied counts from the next request on. */
  source: PolicySource;
  /** What operators found good for this node. */
  approvalsFor(node: { channel: string; nodeId?: string }): Promise<FirmwareApproval[]>;
  /** Whether any certified TPM may join this channel. */
  isOpenChannel(channel: string): Promise<boolean>;
  /** How long a running node of these channels may be silent, and since when that is so. */
  listDeadlines(): Promise<{ channel: string; seconds: number; appliedAtSeconds: number }[]>;
  /** Those in force that this program cannot read: their channels are served nothing. */
  listFaults(): Promise<string[]>;
  /** How long a node of this channel may wait before it proves itself again. */
  nextWithinSeconds(channel: string): Promise<number | undefined>;
  /** @throws {Problem} policy-refused, policy-conflict */
  apply(document: string): Promise<{ policy: Policy; outcome: 'applied' | 'unchanged' }>;
  /** @throws {Problem} policy-refused */
  parse(document: string): Policy;
}

export function createPolicyService(on: {
  store: PolicyStore;
  /** For channels that no document names. */
  builtIn: Policy;
  clock: Clock;
}): PolicyService {
  async function policyOf(channel: string): Promise<Policy> {
    const stored = await on.store.findPolicyOfChannel(channel);
    return stored === undefined ? on.builtIn : readStored(stored);
  }

  async function approvalsFor(node: { channel: string; nodeId?: string }): Promise<FirmwareApproval[]> {
    return (await on.store.listFirmwareApprovals()).filter((approval) => covers(approval, node));
  }

  return {
    async source(node) {
      return { policy: await policyOf(node.channel), firmwareApprovals: await approvalsFor(node) };
    },

    approvalsFor,

    async isOpenChannel(channel) {
      return (await policyOf(channel)).admission.includes('open');
    },

    async listDeadlines() {
      return (await on.store.listPolicies()).flatMap((stored) => {
        const read = tryParse(stored.document);
        const reattest = 'policy' in read ? read.policy.reattest : undefined;
        if (reattest === undefined) return [];
        const seconds = reattest.everySeconds + reattest.graceSeconds;
        const { appliedAtSeconds } = stored;
        return stored.channels.map((channel) => ({ channel, seconds, appliedAtSeconds }));
      });
    },

    async listFaults() {
      return (await on.store.listPolicies())
        .filter(({ document }) => 'fault' in tryParse(document))
        .map(
          ({ name, version }) => `policy ${name}, version ${version}, cannot be read: apply a new version`,
        );
    },

    async nextWithinSeconds(channel) {
      return (await policyOf(channel)).reattest?.everySeconds;
    },

    parse,

    async apply(document) {
      const policy = parse(document);
      const { name, version, channels } = policy;
      const appliedAtSeconds = secondsOf(on.clock);
      const outcome = await on.store.applyPolicy({ name, version, channels, document, appliedAtSeconds });
      if (outcome === 'version-not-higher')
        throw new Problem('policy-conflict', `version ${version} of ${name} was used before: raise it`);
      if (outcome === 'channel-taken')
        throw new Problem(
          'policy-conflict',
          `another policy is in force for one of ${channels.join(', ')}: "boot-admin policy list" says which`,
        );
      return { policy, outcome };
    },
  };
}

function parse(document: string): Policy {
  const read = tryParse(document);
  if ('policy' in read) return read.policy;
  throw new Problem('policy-refused', read.fault.message, { cause: read.fault });
}

/** What an older program applied and this one does not understand holds nobody back silently: nothing is decided. */
function readStored({ name, version, document }: StoredPolicy): Policy {
  const read = tryParse(document);
  if ('policy' in read) return read.policy;
  throw new Problem(
    'not-ready',
    `policy ${name}, version ${version}, cannot be read by this version: ${read.fault.message}`,
    { cause: read.fault },
  );
}

function tryParse(document: string): { policy: Policy } | { fault: PolicyError } {
  try {
    return { policy: parsePolicy(document) };
  } catch (cause) {
    if (cause instanceof PolicyError) return { fault: cause };
    throw cause;
  }
}

function covers(
  { scope }: FirmwareApproval,
  node: { channel: string; nodeId?: string | undefined },
): boolean {
  switch (scope.kind) {
    case 'all':
      return true;
    case 'channel':
      return scope.channel === node.channel;
    case 'node':
      return scope.nodeId === node.nodeId;
  }
}
