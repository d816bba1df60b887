import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { issueAuthority, issueServerCertificate } from '../../src/boot-server/tls/issuing.ts';
import { sha256, toBase64Url, toHex } from '../../src/core/bytes.ts';
import type { JsonObject, JsonValue } from '../../src/core/strict-json.ts';
import { signJws } from '../../src/signing/jws.ts';
import {
  type Answer,
  createScriptedEnrolment,
  type EnrolmentLies,
  problem,
  type ScriptedEnrolment,
} from './scripted-enrolment.ts';
import type { SignedWorld } from './signed-world.ts';

/** What a server taken over can change: each field replaces one honest answer. */
export interface Lies {
  challenge?: (payload: JsonObject) => JsonObject | Promise<string>;
  tuf?: (file: string) => Uint8Array | undefined;
  release?: (release: JsonObject) => JsonObject;
  /** `floor.approval` of an accepted boot, hex. */
  approval?: JsonValue;
  /** Instead of a challenge: a problem. */
  refuseChallenge?: (asked: JsonObject) => Answer | undefined;
  /** Instead of a verdict: a problem, or another verdict. */
  verdict?: (honest: JsonObject) => Answer;
  /** Nodes are known only once they enrol here; without this every node is. */
  enrolment?: EnrolmentLies;
  artifact?: (
    response: ServerResponse,
    sha256: string,
    range: string | undefined,
    world: SignedWorld,
  ) => void;
  any?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface ScriptedServer {
  readonly url: string;
  readonly ca: string;
  readonly key: string;
  /** `GET /v1/tuf/timestamp.json` and so on, in the order of arrival. */
  readonly requests: string[];
  readonly evidence: JsonObject[];
  /** Bodies of `POST /v1/enrolments` and of the activations. */
  readonly enrolments: JsonObject[];
  readonly activations: JsonObject[];
  lies: Lies;
  close(): Promise<void>;
}

export interface TlsIdentity {
  ca: string;
  key: string;
  certificate: string;
}

/** Two servers of one CA, each with a key of its own. */
export interface TlsIdentities extends TlsIdentity {
  secondKey: TlsIdentity;
}

export async function issueTlsIdentity(): Promise<TlsIdentities> {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const authority = { key, certificate: await issueAuthority({ key, commonName: 'Test CA' }) };
  return { ...(await issueFor(authority)), secondKey: await issueFor(authority) };
}

async function issueFor(authority: { key: KeyObject; certificate: string }): Promise<TlsIdentity> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = { commonName: 'Scripted server', hosts: ['127.0.0.1'] };
  const certificate = await issueServerCertificate({ authority, key: privateKey, ...names });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { ca: authority.certificate, certificate, key };
}

/**
 * Speaks docs/protocol.md to a node that it takes for enrolled unless told, and believes everything: it stands for a
 * boot server in an attacker's hands, who has its TLS key and its grant key, and no release key.
 */
export async function startScriptedServer(
  world: SignedWorld,
  tls: TlsIdentity,
  port = 0,
): Promise<ScriptedServer> {
  const server = createServer({
    ...{ key: tls.key, cert: tls.certificate, minVersion: 'TLSv1.3' },
    ...{ requestCert: true, rejectUnauthorized: false },
  });
  const spki = new X509Certificate(tls.certificate).publicKey.export({ type: 'spki', format: 'der' });
  const scripted = {
    ca: tls.ca,
    key: toHex(sha256(spki)),
    requests: [] as string[],
    evidence: [] as JsonObject[],
    enrolments: [] as JsonObject[],
    activations: [] as JsonObject[],
    lies: {} as Lies,
  };
  const enrolment = createScriptedEnrolment(() => scripted.lies.enrolment ?? {});
  server.on('request', (request, response) => {
    scripted.requests.push(`${request.method} ${request.url}`);
    answer({ world, on: scripted, enrolment }, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return Object.assign(scripted, {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

interface Play {
  world: SignedWorld;
  on: Omit<ScriptedServer, 'url' | 'close'>;
  enrolment: ScriptedEnrolment;
}

async function answer(play: Play, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { world, on } = play;
  if (on.lies.any?.(request, response)) return;
  const [, name = ''] = /\/([^/]*)$/.exec(request.url ?? '') ?? [];
  switch (`${request.method} ${request.url?.slice(0, request.url.lastIndexOf('/'))}`) {
    case 'GET /v1/tuf':
      return answerFile(response, on.lies.tuf ? on.lies.tuf(name) : world.files.get(name));
    case 'GET /v1/artifacts':
      if (on.lies.artifact) return on.lies.artifact(response, name, request.headers.range, world);
      return answerFile(response, world.artifacts.get(name), request.headers.range);
  }
  const body = JSON.parse((await readBody(request)) || '{}') as JsonObject;
  const said = await answerCall(play, `${request.method} ${request.url}`, body);
  if (said === undefined) return answerFile(response, undefined);
  answerJson(response, said);
}

async function answerCall(
  { world, on, enrolment }: Play,
  call: string,
  body: JsonObject,
): Promise<Answer | undefined> {
  const challengeFor = async (asked: JsonObject) => makeChallenge(world, on, asked);
  switch (call) {
    case 'POST /v1/challenges': {
      const refusal = on.lies.refuseChallenge?.(body);
      if (refusal !== undefined) return refusal;
      if (on.lies.enrolment !== undefined && !enrolment.known.has(String(body.akName)))
        return problem(404, 'ak-unknown', 'enrol first');
      return { status: 200, body: { challenge: await challengeFor(body) } };
    }
    case 'POST /v1/evidence': {
      on.evidence.push(body);
      const honest = verdict(world, on.lies, purposeOf(body));
      return on.lies.verdict?.(honest) ?? { status: 200, body: honest };
    }
    case 'POST /v1/enrolments':
      on.enrolments.push(body);
      return enrolment.begin(body, (akName) => challengeFor({ akName, purpose: 'enrol' }));
    case 'POST /v1/enrolments/enrolment-1/activation':
      on.activations.push(body);
      return enrolment.activate(body);
    case 'GET /v1/enrolments/enrolment-1':
      return enrolment.state();
    case 'DELETE /v1/grant':
      return { status: 204, body: {} };
  }
  return undefined;
}

function purposeOf(evidence: JsonObject): unknown {
  const claims = JSON.parse(Buffer.from(String(evidence.claims), 'base64').toString()) as JsonObject;
  return claims.purpose;
}

async function makeChallenge(
  world: SignedWorld,
  on: Pick<ScriptedServer, 'key' | 'lies'>,
  asked: JsonObject,
) {
  const iat = Math.floor(Date.now() / 1000);
  const honest = {
    nonce: toBase64Url(sha256(Buffer.from(`${iat}-${Math.random()}`))),
    purpose: asked.purpose ?? '',
    akName: asked.akName ?? '',
    pcrBank: 'sha256',
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14],
    serverKeys: [on.key],
    iat,
    exp: iat + 120,
  };
  const payload = on.lies.challenge ? on.lies.challenge(honest) : honest;
  if (payload instanceof Promise) return payload;
  return signChallenge(world, payload as JsonObject);
}

export async function signChallenge(world: SignedWorld, payload: JsonObject): Promise<string> {
  const { key, keyId } = world.grant;
  return signJws({ key, keyId, typ: 'bootward-challenge+jwt', payload });
}

function verdict(world: SignedWorld, lies: Lies, purpose: unknown): JsonObject {
  const release = { ...world.release };
  const facts = { identity: 'certified', admission: 'listed', state: 'measured' };
  const accepted = { verdict: 'accept', reasons: [], notes: [], facts };
  if (purpose !== 'boot') return { ...accepted, nextWithinSeconds: 3600 };
  return {
    ...accepted,
    release: lies.release ? lies.release(release) : release,
    grant: 'e30.e30.AA',
    ...(lies.approval === undefined ? {} : { floor: { approval: lies.approval } }),
  };
}

export function answerFile(response: ServerResponse, bytes: Uint8Array | undefined, range?: string): void {
  if (bytes === undefined) {
    answerJson(response, problem(404, 'not-found', 'no such file'));
    return;
  }
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const rest = bytes.subarray(from);
  response.writeHead(range === undefined ? 200 : 206, { 'content-length': rest.length }).end(rest);
}

function answerJson(response: ServerResponse, { status, body }: Answer): void {
  const type = status < 300 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type }).end(status === 204 ? undefined : JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}
