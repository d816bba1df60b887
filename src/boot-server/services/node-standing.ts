import type { NodeRecord, NodeStatus } from '../../attestation/node.ts';
import { Problem } from '../problems.ts';

const STANDING: Readonly<Record<Exclude<NodeStatus, 'enrolled'>, string>> = {
  pending: 'waits for an operator: compare the EK fingerprint, then "boot-admin nodes approve"',
  rejected: 'was rejected by an operator',
  revoked: 'was revoked by an operator',
};

/** @throws {Problem} ak-unknown, node-pending, node-rejected, node-revoked */
export function requireEnrolled(node: NodeRecord | undefined): NodeRecord {
  if (node === undefined) throw new Problem('ak-unknown', 'no node has this attestation key: enrol first');
  if (node.status !== 'enrolled')
    throw new Problem(`node-${node.status}`, `node ${node.id} ${STANDING[node.status]}`, {
      members: { nodeId: node.id },
    });
  return node;
}
