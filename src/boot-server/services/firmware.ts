import type { AttestationStore, StoredVerdict } from '../../attestation/attestation-store.ts';
import { readQuotedLog } from '../../attestation/evidence/quoted-log.ts';
import type { FirmwareApproval } from '../../attestation/policy/baseline.ts';
import type { PolicyStore } from '../../attestation/policy/policy-store.ts';
import { toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { Problem } from '../problems.ts';

export interface FirmwareService {
  /**
   * Makes what one held boot measured good for whom the scope names. The values come from the evidence that was kept,
   * whose quote is verified once more: nobody types values in.
   *
   * @throws {Problem} not-found, approval-refused
   */
  approve(approval: {
    verdictId: number;
    scope: 'node' | 'all' | { channel: string };
    name?: string;
    reason?: string;
  }): Promise<FirmwareApproval>;
}

/** Holds that an approval can end. */
const APPROVABLE: readonly string[] = ['firmware-changed', 'baseline-missing'];

export function createFirmwareService(on: {
  store: AttestationStore;
  policyStore: PolicyStore;
  clock: Clock;
}): FirmwareService {
  return {
    async approve({ verdictId, scope, name, reason = '' }) {
      const verdict = await on.store.findVerdict(verdictId);
      if (verdict === undefined) throw new Problem('not-found', `there is no verdict ${verdictId}`);
      const nodeId = requireHeldFirmware(verdict);
      return on.policyStore.approveFirmware({
        name: name ?? `verdict ${verdictId}`,
        scope:
          scope === 'node'
            ? { kind: 'node', nodeId }
            : scope === 'all'
              ? { kind: 'all' }
              : { kind: 'channel', ...scope },
        pcrs: quotedValues(verdict),
        verdictId,
        approvedAtSeconds: secondsOf(on.clock),
        reason,
      });
    },
  };
}

function requireHeldFirmware({ id, verdict, nodeId, reasons }: StoredVerdict): string {
  if (verdict === 'hold' && nodeId !== undefined && reasons.some(({ code }) => APPROVABLE.includes(code)))
    return nodeId;
  throw new Problem(
    'approval-refused',
    `verdict ${id} holds no node for its firmware: there is nothing in it to approve`,
  );
}

function quotedValues({ id, evidenceDocument }: StoredVerdict): Record<number, string> {
  const quoted = evidenceDocument === undefined ? undefined : readQuotedLog(evidenceDocument).quotedPcrs;
  if (quoted === undefined)
    throw new Problem(
      'approval-refused',
      `the evidence of verdict ${id} is not kept any more: let the node boot again and approve that`,
    );
  return Object.fromEntries([...quoted].map(([pcr, value]) => [pcr, toHex(value)]));
}
