import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { findFreePort } from '../boot-server-process.ts';
import type { Cleanup } from '../cleanup.ts';

/** A server that stole the firmware door's TLS key and serves an image of its own to everybody. */
export async function openHostileFirmwareDoor(
  { dataDir, image }: { dataDir: string; image: Uint8Array },
  cleanup: Cleanup,
): Promise<{ port: number }> {
  const tls = join(dataDir, 'tls');
  const server = createServer(
    {
      key: await readFile(join(tls, 'firmware.key')),
      cert: await readFile(join(tls, 'firmware.pem')),
      dhparam: 'auto',
      minVersion: 'TLSv1.2',
    },
    (request, response) => {
      response.writeHead(200, { 'content-type': 'application/efi', 'content-length': image.length });
      response.end(request.method === 'HEAD' ? undefined : image);
    },
  );
  const port = await findFreePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  cleanup.onClose(() => void server.close());
  return { port };
}
