import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { type BootServer, startBootServer } from '../../../src/boot-server/compose.ts';
import { type Config, parseConfig } from '../../../src/boot-server/config.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { type Authority, createAuthority } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { createSoftwareEk, type SoftwareEk } from '../../../src/fleet-sim/chip/software-ek.ts';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import {
  type Answer,
  answerOf,
  createHttpsClient,
  type HttpsCall,
  type HttpsClient,
  payloadOf,
} from '../../../src/fleet-sim/wire/https-client.ts';
import type { TufKey } from '../../../src/signing/public-key.ts';
import { CHANNEL, ReleaseDesk, type SignedRelease, type SignedStage0 } from './release-desk.ts';

/** Stands still until a test moves it. */
export class TestClock implements Clock {
  private ms = Math.floor(Date.now() / 1000) * 1000;

  nowMs(): number {
    return this.ms;
  }

  advance(seconds: number): void {
    this.ms += seconds * 1000;
  }
}

type NodeVerb =
  | 'forget-baseline'
  | 'approve'
  | 'reject'
  | 'readmit'
  | 'revoke'
  | 'lift-hold'
  | 'rotate-ak'
  | 'allow-new-ak'
  | 'assert-rom'
  | 'withdraw-rom';

/** Decisions on the event loop, where coverage sees them: the threads have tests of their own. */
const INLINE_VERIFICATION = 'limits: { verificationThreads: 0 }';

/** The real server in this process, with a release and a stage-0 published through its own door. */
export class PublishedServer {
  readonly folder: string;
  readonly clock = new TestClock();
  readonly manufacturer: Authority;
  readonly logLines: string[] = [];
  private readonly settings: readonly string[];
  private server: BootServer | undefined;
  private readonly nodes: VirtualNode[] = [];
  private readonly clients: HttpsClient[] = [];
  private parts: { desk: ReleaseDesk; stage0: SignedStage0; release: SignedRelease } | undefined;

  private constructor(on: { folder: string; manufacturer: Authority; settings: readonly string[] }) {
    this.folder = on.folder;
    this.manufacturer = on.manufacturer;
    this.settings = on.settings;
  }

  /** The doors are open and nothing is published. @param settings further lines of the configuration */
  static async start(settings: readonly string[] = []): Promise<PublishedServer> {
    const folder = await mkdtemp(join(tmpdir(), 'bootward-api-'));
    const manufacturer = await createAuthority('test TPM manufacturer');
    await mkdir(join(folder, 'vendors'));
    await writeFile(join(folder, 'vendors', 'root.der'), manufacturer.certificate);
    const world = new PublishedServer({ folder, manufacturer, settings });
    await reuseTlsFolder(join(folder, 'data', 'tls'));
    await world.open();
    await keepTlsFolder(join(folder, 'data', 'tls'));
    return world;
  }

  /** The same with stage-0 build 1 and release 1 of channel `demo` published. */
  static async publish(settings: readonly string[] = []): Promise<PublishedServer> {
    const world = await PublishedServer.start(settings);
    const desk = await world.openDesk();
    const stage0 = await desk.addStage0(1);
    const release = await desk.addRelease(1);
    world.parts = { desk, stage0, release };
    const answer = await world.publishDesk(desk);
    if (answer.status !== 200) throw new Error(`not published: ${answer.bytes}`);
    return world;
  }

  get desk(): ReleaseDesk {
    return this.published.desk;
  }

  get stage0(): SignedStage0 {
    return this.published.stage0;
  }

  get release(): SignedRelease {
    return this.published.release;
  }

  private get published() {
    if (this.parts === undefined) throw new Error('nothing was published');
    return this.parts;
  }

  get ports(): BootServer['ports'] {
    if (this.server === undefined) throw new Error('the server does not run');
    return this.server.ports;
  }

  get config(): Config {
    const text = [
      'dataDir: data',
      'firmware: { port: 0 }',
      'agents: { port: 0 }',
      'tpmVendors: [vendors]',
      `admission: { channel: ${CHANNEL} }`,
      'drainSeconds: 0',
      ...(this.settings.some((line) => line.startsWith('limits:')) ? [] : [INLINE_VERIFICATION]),
      ...this.settings,
    ].join('\n');
    return parseConfig({ text, origin: 'test', folder: this.folder, environment: {} });
  }

  async open(): Promise<void> {
    const logger = pino({ level: 'info' }, { write: (line: string) => void this.logLines.push(line) });
    this.server = await startBootServer({ config: this.config, logger, clock: this.clock });
  }

  async stop(): Promise<void> {
    await this.server?.stop();
    this.server = undefined;
  }

  async close(): Promise<void> {
    for (const client of [...this.nodes, ...this.clients]) client.close();
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** New keys of a repository that names this server's grant key. */
  async openDesk(keys?: string): Promise<ReleaseDesk> {
    const { json } = await this.operators('/admin/v1/grant-keys');
    const grantKeys = Object.values(json as Record<string, TufKey>);
    return ReleaseDesk.open({ nowMs: this.clock.nowMs(), grantKeys, ...(keys && { keys }) });
  }

  /** As `boot-sign publish` does it: artifacts first, metadata last. */
  async publishDesk(desk = this.desk): Promise<Answer> {
    for (const [hash, bytes] of desk.artifacts) await this.putArtifact(hash, bytes);
    return this.postMetadata(desk.filesInForce());
  }

  putArtifact(hash: string, bytes: Uint8Array): Promise<Answer> {
    const headers = { 'content-type': 'application/octet-stream' };
    return this.operators(`/admin/v1/artifacts/${hash}`, { method: 'PUT', headers, body: bytes });
  }

  postMetadata(files: ReadonlyMap<string, Uint8Array>): Promise<Answer> {
    const texts = [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('latin1')] as const);
    const body = { files: Object.fromEntries(texts) };
    return this.operators('/admin/v1/metadata', { method: 'POST', body });
  }

  /** A call on the operators' socket. */
  operators(path: string, call: HttpsCall = {}): Promise<Answer> {
    return callSocket(this.config.operators.socket, path, call);
  }

  /** A client of the firmware's door. */
  async firmware(): Promise<HttpsClient> {
    return this.remember(createHttpsClient({ port: this.ports.firmware, ca: await this.ca() }));
  }

  /** A client of the agents' door without a certificate. */
  async stranger(): Promise<HttpsClient> {
    return this.remember(createHttpsClient({ port: this.ports.agents, ca: await this.ca() }));
  }

  /** A machine with a chip of our manufacturer that has just started the published stage-0. */
  async createNode(given: { ek?: SoftwareEk; stage0?: SignedStage0 } = {}): Promise<VirtualNode> {
    const stage0 = given.stage0 ?? this.stage0;
    const node = await VirtualNode.create({
      door: { port: this.ports.agents, ca: await this.ca() },
      ek: given.ek ?? (await createSoftwareEk(this.manufacturer)),
      eventLog: logOfStage0(stage0.image),
      stage0Build: stage0.listing.build,
    });
    this.nodes.push(node);
    return node;
  }

  /** The same, listed for the channel and enrolled. */
  async enrolledNode(): Promise<VirtualNode> {
    const node = await this.createNode();
    await this.list(node);
    const answer = await node.enrol();
    if (answer.json.state !== 'enrolled') throw new Error(`not enrolled: ${answer.bytes}`);
    return node;
  }

  async list(node: VirtualNode, channel = CHANNEL): Promise<void> {
    const body = { channel, entries: [{ fingerprint: node.fingerprint, comment: 'test' }] };
    await this.operators('/admin/v1/eks', { method: 'POST', body });
  }

  decide(verb: NodeVerb, node: VirtualNode): Promise<Answer> {
    return this.operators(`/admin/v1/nodes/${node.id}/${verb}`, { method: 'POST', body: {} });
  }

  /** What the server keeps of its decisions, newest first. */
  async verdictsOf(
    node: VirtualNode,
  ): Promise<{ purpose: string; verdict: string; reasons: { code: string }[] }[]> {
    return (await this.operators(`/admin/v1/nodes/${node.id}`)).json.verdicts;
  }

  /** The state file, opened beside the server. */
  database<T>(work: (database: DatabaseSync) => T): T {
    const database = new DatabaseSync(join(this.config.dataDir, 'state.db'));
    try {
      return work(database);
    } finally {
      database.close();
    }
  }

  /** Rows of every table. */
  rowCounts(): Record<string, number> {
    return this.database((database) => {
      const tables = database.prepare(`select name from sqlite_master where type = 'table'`).all();
      return Object.fromEntries(
        tables.map(({ name }) => [
          String(name),
          Number(database.prepare(`select count(*) as rows from "${name}"`).get()?.rows),
        ]),
      );
    });
  }

  private async ca(): Promise<string> {
    return readFile(join(this.config.dataDir, 'tls', 'ca.pem'), 'utf8');
  }

  private remember(client: HttpsClient): HttpsClient {
    this.clients.push(client);
    return client;
  }
}

/** RSA-3072 keys take most of a second: the first server of a test file makes them, the others find them. */
const tlsFiles = new Map<string, Buffer>();

async function keepTlsFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) tlsFiles.set(name, await readFile(join(folder, name)));
}

async function reuseTlsFolder(folder: string): Promise<void> {
  if (tlsFiles.size === 0) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, bytes] of tlsFiles) await writeFile(join(folder, name), bytes, { mode: 0o600 });
}

export function callSocket(
  socketPath: string,
  path: string,
  { method = 'GET', headers = {}, body }: HttpsCall = {},
): Promise<Answer> {
  const payload = payloadOf(body);
  const type =
    typeof body === 'object' && !(body instanceof Uint8Array) ? { 'content-type': 'application/json' } : {};
  const length = payload === undefined ? {} : { 'content-length': payload.length };
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers: { ...type, ...length, ...headers } });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      buffer(response).then(
        (bytes) => resolve(answerOf(response.statusCode ?? 0, response.headers, bytes)),
        reject,
      );
    });
    outgoing.end(payload);
  });
}

/** The reason codes of a refusal. */
export function reasonsOf(answer: Answer): string[] {
  return ((answer.json.reasons ?? []) as { code: string }[]).map(({ code }) => code);
}
