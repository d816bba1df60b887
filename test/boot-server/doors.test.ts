import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { Type } from 'typebox';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientCertificateOf } from '../../src/boot-server/client-certificate.ts';
import {
  type AgentsApp,
  createAgentsDoor,
  createFirmwareDoor,
  createOperatorsDoor,
  type Door,
  type FirmwareApp,
} from '../../src/boot-server/doors.ts';
import { toBase64Url, toHex } from '../../src/core/bytes.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { createTlsFixture, type TlsFixture } from './tls-fixture.ts';

let fixture: TlsFixture;
let firmware: Door<FirmwareApp>;
let agents: Door<AgentsApp>;
let firmwarePort: number;
let agentsPort: number;
let client: { key: string; cert: string; thumbprint: string };

beforeAll(async () => {
  fixture = await createTlsFixture();
  client = makeClientCertificate(fixture.folder);
});
afterAll(() => fixture.remove());

beforeEach(async () => {
  fixture.lines.length = 0;
  firmware = createFirmwareDoor({ ...fixture.doorOptions, certificate: fixture.tls.firmware });
  firmware.app.get('/file', async () => 'firmware');
  agents = createAgentsDoor({ ...fixture.doorOptions, certificate: fixture.tls.agents });
  const body = Type.Object({ count: Type.Integer({ minimum: 1 }) }, { additionalProperties: false });
  agents.app.post('/count', { schema: { body }, bodyLimit: 1024 }, async (asked) => ({
    got: asked.body.count,
  }));
  agents.app.get('/who', async (asked) => {
    const certificate = clientCertificateOf(asked);
    return {
      spki: certificate === undefined ? null : toHex(certificate.spki),
      thumbprint: certificate?.thumbprint ?? null,
      version: asked.raw.httpVersion,
    };
  });
  agents.app.get('/fault', async () => {
    throw new Error('the password is swordfish');
  });
  agents.app.get('/slow', async (_asked, reply) => reply.send(Readable.from(slowly())));
  [firmwarePort, agentsPort] = await Promise.all([firmware.listen(), agents.listen()]);
});
afterEach(() => Promise.all([firmware.drain(0), agents.drain(0)]));

async function* slowly(): AsyncGenerator<string> {
  for (let n = 0; n < 10; n += 1) {
    yield `${n}`;
    await delay(30);
  }
}

function makeClientCertificate(folder: string) {
  const [key, cert] = [join(folder, 'client.key'), join(folder, 'client.crt')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const args = ['req', '-x509', ...kind, '-keyout', key, '-out', cert, '-subj', '/CN=node', '-days', '1'];
  execFileSync('openssl', args, { stdio: 'ignore' });
  const der = execFileSync('openssl', ['x509', '-in', cert, '-outform', 'der']);
  const digest = execFileSync('openssl', ['dgst', '-sha256', '-binary'], { input: der });
  return {
    key: readFileSync(key, 'utf8'),
    cert: readFileSync(cert, 'utf8'),
    thumbprint: toBase64Url(digest),
  };
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

interface Asked {
  port: number;
  path: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  agent?: Agent;
  key?: string;
  cert?: string;
}

function ask({ body, ...options }: Asked): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const target = { host: '127.0.0.1', ca: fixture.tls.authority.pem, agent: new Agent(), ...options };
  const asked = request(target, async (response) => {
    const { statusCode: status = 0, headers } = response;
    resolve({ status, headers, body: await text(response) });
  });
  asked.once('error', reject).end(body);
  return promise;
}

function post(body: string, type = 'application/json'): Promise<Answer> {
  return ask({ port: agentsPort, path: '/count', method: 'POST', headers: { 'content-type': type }, body });
}

/** Bytes as they are, over TLS, and everything that comes back until the server closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ca: fixture.tls.authority.pem,
    ALPNProtocols: ['http/1.1'],
  });
  socket.write(bytes, 'latin1');
  let answer = '';
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.setEncoding('latin1').on('data', (chunk) => {
    answer += chunk;
  });
  // A server that stops reading resets the connection, and then its answer may be lost on the way.
  socket.on('error', () => {
    answer ||= 'reset';
  });
  await Promise.race([closed, delay(3000)]);
  socket.destroy();
  return answer;
}

/** An independent client: exit status and output of `openssl s_client` after one request. */
function openssl(port: number, ...args: string[]): Promise<string> {
  const ca = ['-CAfile', fixture.tls.authority.path, '-verify_return_error', '-ign_eof'];
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...ca, ...args], {
    timeout: 5000,
  });
  child.stdin.end('GET /file HTTP/1.0\r\n\r\n');
  return Promise.all([text(child.stdout), text(child.stderr)]).then((outputs) => outputs.join(''));
}

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--fail', '--max-time', '5', ...args]);
  return stdout;
}

const codeOf = ({ body }: Answer): unknown => JSON.parse(body).code;

describe('D18 TLS', () => {
  it('D18 serves firmware that knows DHE-RSA and TLS 1.2 only, without SNI and ALPN, at security level 3', async () => {
    const output = await openssl(
      firmwarePort,
      '-noservername',
      '-tls1_2',
      '-cipher',
      'DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=3',
    );
    expect(output).toContain('HTTP/1.1 200 OK');
    expect(output).toContain('DH, 3072 bits');
    expect(output).toContain('Verification: OK');
  });

  it('D18 serves modern firmware over TLS 1.3', async () => {
    expect(await openssl(firmwarePort, '-tls1_3')).toMatch(/TLSv1\.3[\s\S]*HTTP\/1\.1 200 OK/);
  });

  it.each([
    ['TLS 1.0', ['-tls1', '-cipher', 'ALL:@SECLEVEL=0']],
    ['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']],
    ['static RSA', ['-tls1_2', '-cipher', 'AES256-GCM-SHA384:AES128-SHA']],
    ['CBC', ['-tls1_2', '-cipher', 'ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA']],
    ['anonymous', ['-tls1_2', '-cipher', 'ADH-AES256-GCM-SHA384:@SECLEVEL=0']],
  ])('D18 refuses %s on the firmware door', async (_name, args) => {
    const output = await openssl(firmwarePort, ...args);
    expect(output).toMatch(/alert (protocol version|handshake failure)/);
    expect(output).not.toContain('HTTP/1.1');
    expect(firmware.counters.tlsClientErrors).toBe(1);
  });

  it('D18 refuses TLS 1.2 on the agents door: old suites never reach the API', async () => {
    expect(await openssl(agentsPort, '-tls1_2')).toContain('alert protocol version');
  });

  it('D18 answers a wrong server name with the one certificate it has', async () => {
    expect(await openssl(agentsPort, '-servername', 'elsewhere.example')).toContain('Verification: OK');
  });

  it('D18 neither renegotiates nor compresses', async () => {
    const output = await openssl(firmwarePort, '-tls1_2', '-legacy_renegotiation');
    expect(output).toContain('Compression: NONE');
    const socket = connectTls({
      host: '127.0.0.1',
      port: firmwarePort,
      ca: fixture.tls.authority.pem,
      maxVersion: 'TLSv1.2',
    });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const outcome = await new Promise((resolve) => {
      socket.once('close', () => resolve('closed'));
      socket.once('error', () => resolve('refused'));
      socket.renegotiate({ rejectUnauthorized: true }, (error) =>
        resolve(error === null ? 'renegotiated' : 'refused'),
      );
    });
    socket.destroy();
    expect(outcome).not.toBe('renegotiated');
  });

  it('curl trusts the agents door by our CA alone', async () => {
    const url = `https://localhost:${agentsPort}/who`;
    const trusting = await curl('--cacert', fixture.tls.authority.path, '-w', '%{http_version}', url);
    expect(trusting).toMatch(/"version":"2.0"}2$/);
    await expect(curl(url)).rejects.toThrow('certificate');
  });
});

describe('client certificate', () => {
  it('is seen over HTTP/1.1', async () => {
    const { body } = await ask({ port: agentsPort, path: '/who', key: client.key, cert: client.cert });
    expect(JSON.parse(body)).toMatchObject({ thumbprint: client.thumbprint, version: '1.1' });
  });

  it('is seen over HTTP/2', async () => {
    const options = { ca: fixture.tls.authority.pem, key: client.key, cert: client.cert };
    const session = connectHttp2(`https://127.0.0.1:${agentsPort}`, options);
    const body = JSON.parse(await text(session.request({ ':path': '/who' })));
    session.close();
    expect(body).toMatchObject({ thumbprint: client.thumbprint, version: '2.0' });
    expect(body.spki).toMatch(/^3059301306072a8648ce3d0201/);
  });

  it('is undefined when the client presents none', async () => {
    expect(JSON.parse((await ask({ port: agentsPort, path: '/who' })).body).thumbprint).toBeNull();
  });

  it('A3 is never taken from a header', async () => {
    const headers = {
      'x-ssl-client-cert': encodeURIComponent(client.cert),
      'x-forwarded-client-cert': 'Hash=1',
    };
    expect(JSON.parse((await ask({ port: agentsPort, path: '/who', headers })).body).thumbprint).toBeNull();
  });
});

describe('firmware door', () => {
  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])('refuses %s, on every address', async (method) => {
    const answer = await ask({ port: firmwarePort, path: '/file', method });
    expect(answer.status).toBe(405);
    expect(answer.headers['content-type']).toBe('application/problem+json');
  });

  it('answers an unknown address with a problem', async () => {
    const answer = await ask({ port: firmwarePort, path: '/v1/challenges?secret=1' });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.body)).toMatchObject({ type: 'about:blank', status: 404, code: 'not-found' });
    expect(answer.body).not.toContain('secret');
  });

  it.each(['/file/', '//file', '/FILE', '/%66ile/', '/file%2f', '/./file'])(
    'A4 %s is not /file',
    async (path) => {
      expect((await ask({ port: firmwarePort, path })).status).toBe(404);
    },
  );
});

describe('D14 requests that are not HTTP as we read it', () => {
  it.each([
    ['1 MB of headers', `GET /file HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(1_000_000)}\r\n\r\n`, '431'],
    ['10,000 headers', `GET /file HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(10_000)}\r\n`, '431'],
    ['a folded header', 'GET /file HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\nB: d\r\n\r\n', '400'],
    [
      'Content-Length and Transfer-Encoding',
      'GET /file HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      '400',
    ],
    [
      'two Content-Lengths',
      'GET /file HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      '400',
    ],
    [
      'a chunk size that is no number',
      'GET /file HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      '400',
    ],
    ['no Host', 'GET /file HTTP/1.1\r\n\r\n', '400'],
    ['a bare line feed', 'GET /file HTTP/1.1\nHost: x\n\n', '400'],
    ['a space in a header name', 'GET /file HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n', '400'],
    ['a NUL in a header', 'GET /file HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n', '400'],
    ['noise', '\x16\x03\x01 hello', '400'],
  ])('D14 refuses %s and closes', async (_name, bytes, status) => {
    const answer = await raw(firmwarePort, bytes);
    if (answer !== 'reset') expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect((await ask({ port: firmwarePort, path: '/file' })).status).toBe(200);
  });
});

describe('D19 bodies', () => {
  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON'])(
    'D19 reads %s',
    async (type) => {
      expect((await post('{"count":1}', type)).status).toBe(200);
    },
  );

  it.each([
    'application/json\t',
    'application/json x',
    'application/jsonx',
    'application/ json',
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'application/problem+json',
    'multipart/form-data; boundary=application/json',
    'x application/json',
  ])('D19 refuses the content type %j, and never skips the schema', async (type) => {
    const answer = await post('{"count":"not a number"}', type);
    expect([answer.status, codeOf(answer)]).toEqual(
      answer.status === 400 ? [400, 'request-invalid'] : [415, 'content-type-unsupported'],
    );
    expect((await post('{"count":1}', type)).status).toBe(answer.status === 400 ? 200 : 415);
  });

  it.each([
    ['{"count":"1"}', 'body.count'],
    ['{"count":0}', 'body.count'],
    ['{"count":1.5}', 'body.count'],
    ['{"count":1,"more":1}', 'body.more'],
    ['{}', 'body.count'],
    ['[1]', 'body'],
    ['null', 'body'],
  ])('refuses %s and names %s', async (body, field) => {
    const answer = await post(body);
    expect([answer.status, codeOf(answer), JSON.parse(answer.body).field]).toEqual([
      400,
      'request-invalid',
      field,
    ]);
  });

  it.each([
    '{"count":1,"count":2}',
    '{"__proto__":{}}',
    '{"count":1}x',
    '{"count":01}',
    '\ufeff{"count":1}',
    '',
  ])('refuses %j, which two readers would read differently or not at all', async (body) => {
    const answer = await post(body);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'request-invalid']);
  });

  it('refuses a body past the limit of its route', async () => {
    const answer = await post(`{"count":1${' '.repeat(2000)}}`);
    expect([answer.status, codeOf(answer)]).toEqual([413, 'body-too-large']);
  });
});

describe('log lines', () => {
  it('log each refusal once, with its code, and never a header or a query', async () => {
    const headers = { authorization: 'Bearer top-secret' };
    await ask({ port: agentsPort, path: '/nothing?token=top-secret', headers });
    expect(fixture.lines.filter(({ msg }) => msg === 'refused')).toHaveLength(1);
    expect(fixture.lines.filter(({ path }) => path === '/nothing')).toHaveLength(1);
    expect(JSON.stringify(fixture.lines)).not.toContain('top-secret');
  });

  it('keep an unforeseen failure inside: the client gets a bare 500', async () => {
    const answer = await ask({ port: agentsPort, path: '/fault' });
    expect([answer.status, codeOf(answer)]).toEqual([500, 'internal']);
    expect(answer.body).not.toContain('swordfish');
    expect(fixture.lines.filter(({ code }) => code === 'internal')).toHaveLength(1);
  });
});

describe('O13 draining', () => {
  it('O13 finishes answers under way, then refuses connections', async () => {
    const agent = new Agent({ keepAlive: true });
    const slow = ask({ port: agentsPort, path: '/slow', agent });
    await delay(100);
    const started = performance.now();
    await agents.drain(5);
    expect(performance.now() - started).toBeLessThan(2000);
    expect((await slow).body).toBe('0123456789');
    await expect(ask({ port: agentsPort, path: '/who' })).rejects.toThrow('ECONNREFUSED');
    agent.destroy();
  });

  it('O13 finishes HTTP/2 streams under way', async () => {
    const session = connectHttp2(`https://127.0.0.1:${agentsPort}`, { ca: fixture.tls.authority.pem });
    const slow = text(session.request({ ':path': '/slow' }));
    await delay(100);
    await agents.drain(5);
    expect(await slow).toBe('0123456789');
  });

  it('O13 does not wait for clients that keep an idle connection', async () => {
    const agent = new Agent({ keepAlive: true });
    await ask({ port: agentsPort, path: '/who', agent });
    const started = performance.now();
    await agents.drain(10);
    expect(performance.now() - started).toBeLessThan(2000);
    agent.destroy();
  });

  it('O13 cuts what is open at the deadline', async () => {
    const idle = connectTls({ host: '127.0.0.1', port: firmwarePort, ca: fixture.tls.authority.pem });
    await new Promise((resolve) => idle.once('secureConnect', resolve));
    idle.write('GET /fi');
    const closed = new Promise((resolve) => idle.once('close', resolve));
    idle.on('error', () => undefined);
    await delay(50);
    await firmware.drain(0.2);
    await closed;
  });
});

describe('operators door', () => {
  const options = { maxConnections: 10, maxBodyBytes: 1024 };

  async function openOperators(path: string, mode: '0600' | '0660' = '0600') {
    const door = createOperatorsDoor({
      logger: fixture.doorOptions.logger,
      ...options,
      socket: { path, mode },
    });
    door.app.get('/x', async () => 'operators');
    await door.listen();
    return door;
  }

  it.each(['0600', '0660'] as const)('listens on a socket with mode %s', async (mode) => {
    const path = join(await temporaryFolder(), 's');
    const door = await openOperators(path, mode);
    expect((await stat(path)).mode & 0o777).toBe(Number.parseInt(mode, 8));
    expect(await curl('--unix-socket', path, 'http://x/x')).toBe('operators');
    await door.drain(0);
  });

  it('replaces a socket that a killed server left behind', async () => {
    const path = join(await temporaryFolder(), 's');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await new Promise((resolve) => spawn(process.execPath, ['-e', script]).once('exit', resolve));
    expect((await stat(path)).isSocket()).toBe(true);
    const door = await openOperators(path);
    await door.drain(0);
  });

  it('refuses a socket that another server answers on', async () => {
    const path = join(await temporaryFolder(), 's');
    const other = createServer().listen(path);
    await expect(openOperators(path)).rejects.toMatchObject({ code: 'door-socket-taken' });
    expect((await stat(path)).isSocket()).toBe(true);
    other.close();
  });

  it('refuses to replace what is no socket', async () => {
    const path = join(await temporaryFolder(), 's');
    await writeFile(path, 'precious');
    await expect(openOperators(path)).rejects.toMatchObject({ code: 'door-socket-not-a-socket' });
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  it('a port that is taken is an error that names it', async () => {
    const second = createFirmwareDoor({
      ...fixture.doorOptions,
      port: firmwarePort,
      certificate: fixture.tls.firmware,
    });
    await expect(second.listen()).rejects.toMatchObject({ code: 'door-not-opened' });
    await second.drain(0);
  });
});
