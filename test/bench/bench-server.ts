import { join } from 'node:path';
import { sendArtifact } from '../../src/boot-server/delivery/send-artifact.ts';
import { createVerifiedSlices } from '../../src/boot-server/delivery/verified-slices.ts';
import { createAgentsDoor } from '../../src/boot-server/doors.ts';
import { createLogger } from '../../src/boot-server/logger.ts';
import { loadTlsFolder } from '../../src/boot-server/tls/tls-folder.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createArtifactStore } from '../../src/storage/artifact-store.ts';

// Run as a process of its own by the benchmarks, so that its CPU time and memory are the server's alone:
// the agents' door with the artifact store behind it, ungated.
const [folder = ''] = process.argv.slice(2);
const tls = await loadTlsFolder({
  folder: join(folder, 'tls'),
  publicHosts: ['127.0.0.1'],
  clock: systemClock,
});
const store = await createArtifactStore({ folder: join(folder, 'artifacts') });
const slices = createVerifiedSlices({ cacheBytes: 67_108_864 });
const door = createAgentsDoor({
  logger: createLogger({ level: 'error', pretty: false }),
  maxConnections: 256,
  maxBodyBytes: 65_536,
  host: '127.0.0.1',
  port: 0,
  certificate: tls.agents,
});
door.app.get<{ Params: { sha256: string } }>('/artifacts/:sha256', async (request, reply) => {
  const artifact = await store.open(request.params.sha256);
  return sendArtifact(slices, request, reply, {
    artifact,
    contentType: 'application/octet-stream',
    naming: 'by-hash',
  });
});
const port = await door.listen();
process.send?.({ port });
