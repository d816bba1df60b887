import { Type } from 'typebox';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { sendArtifact } from '../delivery/send-artifact.ts';
import type { VerifiedSlices } from '../delivery/verified-slices.ts';
import type { FirmwareApp } from '../doors.ts';
import { Problem } from '../problems.ts';
import type { RepositoryService } from '../services/repository.ts';

const Params = Type.Object(
  { architecture: Type.String({ pattern: '^[a-z0-9-]{1,16}$' }) },
  { additionalProperties: false },
);

/** The newest stage-0 that the release keys list for the architecture: public, signed, no secrets. */
export function registerFirmwareRoutes(
  app: FirmwareApp,
  on: {
    repository: RepositoryService;
    artifacts: ArtifactStore;
    slices: VerifiedSlices;
    countSentBytes: (bytes: number) => void;
  },
): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/boot/:architecture/stage0.efi',
    schema: { params: Params },
    handler: async (request, reply) => {
      const { architecture } = request.params;
      const builds = on.repository.current()?.verified.stage0Builds ?? [];
      const newest = builds.findLast((build) => build.architecture === architecture);
      if (newest === undefined) throw new Problem('not-found', `no stage-0 is listed for ${architecture}`);
      return sendArtifact(on.slices, request, reply, {
        artifact: await on.artifacts.open(newest.sha256),
        contentType: 'application/efi',
        naming: 'by-name',
        countSentBytes: on.countSentBytes,
      });
    },
  });
}
