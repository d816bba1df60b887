import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { QUOTED_PCRS } from '../../src/attestation/policy/policy.ts';
import { sha256, toBase64Url, toHex } from '../../src/core/bytes.ts';
import { signJws } from '../../src/signing/jws.ts';
import { keyIdOf, tufKeyOf } from '../../src/signing/public-key.ts';

export interface StolenServer {
  dataDir: string;
  port: number;
  /** `sha256` of the key that the agents' door answers with. */
  serverKey: string;
  release: { channel: string; version: number; target: string; digest: string; name: string };
  /** Metadata by file name: signed, so it is served as it is. */
  metadata: ReadonlyMap<string, Uint8Array>;
  /** Artifacts by the hash they are asked for; the attacker serves what it likes. */
  artifacts: ReadonlyMap<string, Uint8Array>;
}

/**
 * Whoever took over the boot server: TLS key and grant key are stolen, every piece of evidence is accepted,
 * and artifacts are not what they were. What it has not got is a release key.
 */
export async function openHostileAgentsDoor(stolen: StolenServer): Promise<{ close(): Promise<void> }> {
  const tls = join(stolen.dataDir, 'tls');
  const grantKey = createPrivateKey(await readFile(join(stolen.dataDir, 'grant.key')));
  const server = createServer(
    {
      key: await readFile(join(tls, 'agents.key')),
      cert: await readFile(join(tls, 'agents.pem')),
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      answer(stolen, grantKey, request).then(
        (reply) => send(response, reply),
        () => send(response, { status: 500, body: new Uint8Array(0) }),
      );
    },
  );
  await new Promise<void>((resolve) => server.listen(stolen.port, '127.0.0.1', resolve));
  return {
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

interface Reply {
  status: number;
  body: Uint8Array;
}

async function answer(
  stolen: StolenServer,
  grantKey: ReturnType<typeof createPrivateKey>,
  request: IncomingMessage,
): Promise<Reply> {
  const body = await buffer(request);
  const url = request.url ?? '';
  if (url === '/v1/challenges')
    return json({ challenge: await challenge(stolen, grantKey, JSON.parse(String(body))) });
  if (url === '/v1/evidence') return json(acceptance(stolen));
  if (url === '/v1/grant') return { status: 204, body: new Uint8Array(0) };
  const file =
    stolen.metadata.get(url.replace('/v1/tuf/', '')) ??
    stolen.artifacts.get(url.replace('/v1/artifacts/', ''));
  return file === undefined ? { status: 404, body: new Uint8Array(0) } : { status: 200, body: file };
}

async function challenge(
  { serverKey }: StolenServer,
  key: ReturnType<typeof createPrivateKey>,
  { akName, purpose }: { akName: string; purpose: string },
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return signJws({
    key,
    keyId: keyIdOf(tufKeyOf(key)),
    typ: 'bootward-challenge+jwt',
    payload: {
      nonce: toBase64Url(sha256(Buffer.from(`hostile ${now}`))),
      purpose,
      akName,
      pcrBank: 'sha256',
      pcrs: [...QUOTED_PCRS],
      serverKeys: [serverKey],
      iat: now,
      exp: now + 120,
    },
  });
}

function acceptance({ release }: StolenServer) {
  return {
    verdict: 'accept',
    reasons: [],
    notes: [],
    facts: { identity: 'certified', admission: 'listed', state: 'measured' },
    release,
    grant: `${toHex(sha256(Buffer.from('no grant at all')))}.e30.AA`,
  };
}

function json(value: unknown): Reply {
  return { status: 200, body: Buffer.from(JSON.stringify(value)) };
}

function send(response: ServerResponse, { status, body }: Reply): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}
