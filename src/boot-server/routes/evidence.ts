import { clientCertificateOf } from '../client-certificate.ts';
import type { AgentsApp } from '../doors.ts';
import { requireClientKey } from '../services/client-key.ts';
import type { EvidenceService } from '../services/evidence.ts';
import { decodeEvidence } from './submitted-evidence.ts';
import { EvidenceBody } from './wire.ts';

export function registerEvidenceRoutes(app: AgentsApp, on: { evidence: EvidenceService }): void {
  app.post('/v1/evidence', { schema: { body: EvidenceBody } }, async (request, reply) => {
    const accepted = await on.evidence.submitBoot({
      evidence: decodeEvidence(request.body),
      client: requireClientKey(clientCertificateOf(request)),
    });
    const { channel, version, target, sha256, name } = accepted.release.listing;
    reply.header('cache-control', 'no-store');
    return {
      verdict: 'accept',
      reasons: [],
      notes: accepted.notes,
      facts: accepted.facts,
      release: { channel, version, target, digest: sha256, name },
      grant: accepted.grant,
    };
  });
}
