import type { AttestationStore } from '../../attestation/attestation-store.ts';
import type { EndorsementKey, NodeRecord } from '../../attestation/node.ts';
import { Problem } from '../problems.ts';
import { akRotated, refuseEnded } from './node-standing.ts';

export interface EnrollingKeys {
  akName: string;
  eks: readonly Pick<EndorsementKey, 'fingerprint' | 'identity'>[];
}

/**
 * The one node that these keys belong to, if there is one: all keys of one TPM are names of one node. Asked
 * before a credential is made and again before anything is decided; the writes decide it once more.
 *
 * @throws {Problem} enrolment-refused, ak-rotated, node-rejected, node-revoked
 */
export async function findLinkedNode(
  store: AttestationStore,
  { akName, eks }: EnrollingKeys,
): Promise<NodeRecord | undefined> {
  const byEks = await Promise.all(eks.map(({ fingerprint }) => store.findNodeByEk(fingerprint)));
  const [byAk, byRetiredAk] = [await store.findNodeByAk(akName), await store.findNodeByRetiredAk(akName)];
  const nodes = distinct([...byEks, byAk, byRetiredAk]);
  for (const node of nodes) refuseEnded(node);
  const [node] = nodes;
  if (nodes.length > 1)
    throw new Problem(
      'enrolment-refused',
      'these keys belong to more than one node: they are not of one TPM',
    );
  if (node === undefined) return undefined;
  if (byRetiredAk !== undefined || (node.akRotationDue && byAk !== undefined)) throw akRotated(node);
  refuseUnproven(node, { knownEks: byEks.filter((found) => found !== undefined).length, eks });
  return node;
}

/**
 * Only a certificate proves that a key lies in a chip. So a certified node gets no name that anybody could have
 * made up, and no key at all without showing one that it is known with.
 */
function refuseUnproven(
  node: NodeRecord,
  { knownEks, eks }: { knownEks: number; eks: EnrollingKeys['eks'] },
): void {
  if (knownEks === 0)
    throw new Problem('enrolment-refused', 'this attestation key is enrolled with another endorsement key');
  const unproven = eks.some(
    (ek) => ek.identity !== 'certified' && !node.ekFingerprints.includes(ek.fingerprint),
  );
  if (node.identity === 'certified' && unproven)
    throw new Problem(
      'enrolment-refused',
      'a certified node is given no further endorsement key that is not certified',
    );
}

function distinct(nodes: readonly (NodeRecord | undefined)[]): NodeRecord[] {
  const found = nodes.filter((node) => node !== undefined);
  return [...new Map(found.map((node) => [node.id, node])).values()];
}
