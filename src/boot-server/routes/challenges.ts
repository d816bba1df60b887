import { Type } from 'typebox';
import type { AttestationStore } from '../../attestation/attestation-store.ts';
import type { NodeRecord } from '../../attestation/node.ts';
import { listedReleases } from '../../releases/catalog.ts';
import type { AgentsApp } from '../doors.ts';
import { Problem } from '../problems.ts';
import type { ChallengeService } from '../services/challenges.ts';
import { findEnrolled } from '../services/node-standing.ts';
import type { RepositoryService } from '../services/repository.ts';
import { AkNameHex } from './wire.ts';

const Body = Type.Object(
  {
    akName: AkNameHex,
    purpose: Type.Union([Type.Literal('boot'), Type.Literal('health'), Type.Literal('reattest')]),
  },
  { additionalProperties: false },
);

const MAX_BODY_BYTES = 4096;

/** Tells a node early what evidence could not change: unknown, not admitted, nothing to boot, or not booted. */
export function registerChallengeRoutes(
  app: AgentsApp,
  on: { store: AttestationStore; challenges: ChallengeService; repository: RepositoryService },
): void {
  app.post(
    '/v1/challenges',
    { schema: { body: Body }, bodyLimit: MAX_BODY_BYTES },
    async (request, reply) => {
      const { akName, purpose } = request.body;
      const node = await findEnrolled(on.store, akName);
      if (purpose === 'boot') requireRelease(node, on.repository);
      else requireSession(node);
      reply.header('cache-control', 'no-store');
      return { challenge: await on.challenges.issue({ akName, purpose }) };
    },
  );
}

function requireRelease({ channel }: NodeRecord, repository: RepositoryService): void {
  const published = repository.current();
  if (published === undefined) throw new Problem('no-release', 'nothing has been published here yet');
  if (listedReleases(published.catalog, channel).length === 0)
    throw new Problem('no-release', `channel ${channel} lists no release: publish one`);
}

function requireSession({ id, session }: NodeRecord): void {
  if (session === undefined)
    throw new Problem('session-missing', `node ${id} runs nothing that it was granted here: boot first`);
}
