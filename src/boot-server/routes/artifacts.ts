import { Type } from 'typebox';
import { artifactsOf, findRelease } from '../../releases/catalog.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { clientCertificateOf } from '../client-certificate.ts';
import { sendArtifact } from '../delivery/send-artifact.ts';
import type { VerifiedSlices } from '../delivery/verified-slices.ts';
import type { AgentsApp } from '../doors.ts';
import { Problem } from '../problems.ts';
import type { GrantService } from '../services/grants.ts';
import type { RepositoryService } from '../services/repository.ts';
import { Sha256Hex } from './wire.ts';

const Params = Type.Object({ sha256: Sha256Hex }, { additionalProperties: false });

/** A grant opens the one release it was made for, manifest and parts, as long as that release is listed. */
export function registerArtifactRoutes(
  app: AgentsApp,
  on: {
    repository: RepositoryService;
    grants: GrantService;
    artifacts: ArtifactStore;
    slices: VerifiedSlices;
    countSentBytes: (bytes: number) => void;
  },
): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v1/artifacts/:sha256',
    schema: { params: Params },
    handler: async (request, reply) => {
      const grant = await on.grants.authorize({
        authorization: request.headers.authorization,
        clientThumbprint: clientCertificateOf(request)?.thumbprint,
      });
      const release = findRelease(on.repository.current()?.catalog, grant);
      const { sha256 } = request.params;
      if (release === undefined || !artifactsOf(release).has(sha256))
        throw new Problem('artifact-not-granted', 'the grant is for another release, or that was withdrawn');
      return sendArtifact(on.slices, request, reply, {
        artifact: await on.artifacts.open(sha256),
        contentType: 'application/octet-stream',
        naming: 'by-hash',
        countSentBytes: on.countSentBytes,
      });
    },
  });

  app.delete('/v1/grant', async (request, reply) => {
    const grant = await on.grants.authorize({
      authorization: request.headers.authorization,
      clientThumbprint: clientCertificateOf(request)?.thumbprint,
    });
    await on.grants.close(grant);
    return reply.code(204).send();
  });
}
