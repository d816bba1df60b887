import { connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import type { ClientIdentity } from '../../../src/fleet-sim/wire/https-client.ts';

/** One GET over a session of its own. */
export async function requestHttp2(
  { door }: { door: { port: number; ca: string } },
  headers: OutgoingHttpHeaders,
  identity: ClientIdentity | undefined,
): Promise<{ status: number; bytes: Buffer }> {
  const own = identity && {
    key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
    cert: identity.certificate,
  };
  const session = connect(`https://127.0.0.1:${door.port}`, { ca: door.ca, ...own });
  try {
    const stream = session.request(headers);
    const status = new Promise<number>((resolve, reject) => {
      stream.once('response', (answer) => resolve(Number(answer[constants.HTTP2_HEADER_STATUS])));
      stream.once('error', reject);
      session.once('error', reject);
    });
    return { status: await status, bytes: await buffer(stream) };
  } finally {
    session.close();
  }
}
