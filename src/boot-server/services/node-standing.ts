import type { AttestationStore } from '../../attestation/attestation-store.ts';
import type { NodeRecord, NodeStatus } from '../../attestation/node.ts';
import { Problem } from '../problems.ts';

const STANDING: Readonly<Record<Exclude<NodeStatus, 'enrolled'>, string>> = {
  pending: 'waits for an operator: compare the EK fingerprint, then "boot-admin nodes approve"',
  rejected: 'was rejected by an operator',
  revoked: 'was revoked by an operator',
};

/**
 * The node that attests with this key, as long as it may. A machine without a disk begins every boot with
 * the first generation of its key, so a retired key is told the generation that it must make.
 *
 * @throws {Problem} ak-unknown, ak-rotated, node-pending, node-rejected, node-revoked
 */
export async function findEnrolled(
  store: Pick<AttestationStore, 'findNodeByAk' | 'findNodeByRetiredAk'>,
  akName: string,
): Promise<NodeRecord> {
  const node = await store.findNodeByAk(akName);
  if (node !== undefined) return requireEnrolled(node);
  const former = await store.findNodeByRetiredAk(akName);
  if (former === undefined) return requireEnrolled(undefined);
  refuseEnded(former);
  throw akRotated(former);
}

/** @throws {Problem} ak-unknown, ak-rotated, node-pending, node-rejected, node-revoked */
export function requireEnrolled(node: NodeRecord | undefined): NodeRecord {
  if (node === undefined) throw new Problem('ak-unknown', 'no node has this attestation key: enrol first');
  if (node.status !== 'enrolled') throw standingProblem(node, node.status);
  if (node.akRotationDue) throw akRotated(node);
  return node;
}

/** Whatever of its keys comes, and whatever for (P9, E29). @throws {Problem} node-rejected, node-revoked */
export function refuseEnded(node: NodeRecord): void {
  if (node.status === 'rejected' || node.status === 'revoked') throw standingProblem(node, node.status);
}

/** What a node hears that still comes with a key that its operator had it leave behind. */
export function akRotated({ id, akGeneration }: NodeRecord): Problem {
  const detail = `the attestation key of node ${id} was replaced: make generation ${akGeneration} and enrol with it`;
  return new Problem('ak-rotated', detail, { members: { nodeId: id, akGeneration } });
}

function standingProblem({ id }: NodeRecord, status: Exclude<NodeStatus, 'enrolled'>): Problem {
  return new Problem(`node-${status}`, `node ${id} ${STANDING[status]}`, { members: { nodeId: id } });
}
