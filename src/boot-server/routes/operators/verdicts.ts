import { Type } from 'typebox';
import type { AttestationStore } from '../../../attestation/attestation-store.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import { describeVerdict } from './nodes.ts';

const Params = Type.Object(
  { id: Type.String({ pattern: '^[1-9][0-9]{0,14}$' }) },
  { additionalProperties: false },
);
const RECENT_VERDICTS = 100;

export function registerVerdictRoutes(app: OperatorsApp, on: { store: AttestationStore }): void {
  app.get('/admin/v1/verdicts', async () => ({
    verdicts: (await on.store.listVerdicts({ limit: RECENT_VERDICTS })).map(describeVerdict),
  }));

  app.get('/admin/v1/verdicts/:id', { schema: { params: Params } }, async (request) => {
    const verdict = await on.store.findVerdict(Number(request.params.id));
    if (verdict === undefined) throw new Problem('not-found', 'there is no such verdict, or not any more');
    return describeVerdict(verdict);
  });

  /** The evidence file as `boot-admin verify-evidence` reads it. */
  app.get('/admin/v1/verdicts/:id/evidence', { schema: { params: Params } }, async (request, reply) => {
    const verdict = await on.store.findVerdict(Number(request.params.id));
    if (verdict?.evidenceDocument === undefined)
      throw new Problem('not-found', 'no evidence is kept for that verdict');
    return reply.header('content-type', 'application/json').send(verdict.evidenceDocument);
  });
}
