import { clientCertificateOf } from '../client-certificate.ts';
import type { AgentsApp } from '../doors.ts';
import { requireClientKey } from '../services/client-key.ts';
import type { AcceptedEvidence, EvidenceService } from '../services/evidence.ts';
import { decodeEvidence } from './submitted-evidence.ts';
import { EvidenceBody } from './wire.ts';

export function registerEvidenceRoutes(app: AgentsApp, on: { evidence: EvidenceService }): void {
  app.post('/v1/evidence', { schema: { body: EvidenceBody } }, async (request, reply) => {
    const accepted = await on.evidence.submit({
      evidence: decodeEvidence(request.body),
      client: requireClientKey(clientCertificateOf(request)),
    });
    reply.header('cache-control', 'no-store');
    return describeAccepted(accepted);
  });
}

function describeAccepted({ facts, notes, granted, floorApproval, nextWithinSeconds }: AcceptedEvidence) {
  return {
    verdict: 'accept',
    reasons: [],
    notes,
    facts,
    ...(nextWithinSeconds !== undefined && { nextWithinSeconds }),
    ...(granted && { release: describeRelease(granted.release), grant: granted.grant }),
    ...(floorApproval !== undefined && { floor: { approval: floorApproval } }),
  };
}

function describeRelease({ listing }: NonNullable<AcceptedEvidence['granted']>['release']) {
  const { channel, version, target, sha256, name } = listing;
  return { channel, version, target, digest: sha256, name };
}
