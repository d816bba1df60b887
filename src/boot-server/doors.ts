import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:net';
import Fastify from 'fastify';
import { messageOf } from '../core/errors.ts';
import {
  type AgentsApp,
  type AnyApp,
  type Door,
  type DoorCounters,
  type DoorOptions,
  doorBase,
  type FirmwareApp,
  finishDoor,
  IDLE_MS,
  type OperatorsApp,
  TCP_TIMEOUTS,
} from './door.ts';
import { installBodyDeadline } from './door-body-deadline.ts';
import { DoorError, listenOnSocket, type SocketAddress } from './door-socket.ts';
import { Problem } from './problems.ts';
import type { ServerCertificate } from './tls/certificates.ts';

export type { AgentsApp, Door, FirmwareApp, OperatorsApp } from './door.ts';

export interface TlsDoorOptions extends DoorOptions {
  host: string;
  port: number;
  certificate: ServerCertificate;
}

/**
 * For UEFI: old TLS stays behind this door, and nothing is served here that is not public. Security level
 * 3 clients want DHE with 3072 bits, which `dhparam: 'auto'` takes from the key's size. Forward secrecy
 * and GCM only: firmware that offers static RSA offers DHE too.
 */
export function createFirmwareDoor({ certificate, ...options }: TlsDoorOptions): Door<FirmwareApp> {
  const { counters, common } = doorBase(options);
  const app: FirmwareApp = Fastify({
    ...common,
    https: {
      ...TCP_TIMEOUTS,
      key: certificate.key,
      cert: certificate.certificate,
      minVersion: 'TLSv1.2',
      dhparam: 'auto',
      honorCipherOrder: true,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ciphers: FIRMWARE_CIPHERS,
    },
  });
  app.addHook('onRequest', async (request, reply) => {
    if (request.method === 'GET' || request.method === 'HEAD') return;
    reply.header('connection', 'close');
    throw new Problem('method-not-allowed', 'this door serves files: GET and HEAD', {
      headers: { allow: 'GET, HEAD' },
    });
  });
  return finishTlsDoor(app, options, counters);
}

/** TLS 1.3's own suites first, by OpenSSL's names; then those of TLS 1.2, ECDHE before DHE. */
const FIRMWARE_CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
  'DHE-RSA-AES128-GCM-SHA256',
].join(':');

/**
 * For agents: asks every client for a certificate and accepts any or none, because the ephemeral one is
 * self-signed. What TLS proves is that the client holds its key; routes decide what that is worth.
 */
export function createAgentsDoor({ certificate, ...options }: TlsDoorOptions): Door<AgentsApp> {
  const { counters, common } = doorBase(options);
  const app: AgentsApp = Fastify({
    ...common,
    http2: true,
    http2SessionTimeout: IDLE_MS,
    https: {
      ...TCP_TIMEOUTS,
      ...HTTP2_LIMITS,
      allowHTTP1: true,
      key: certificate.key,
      cert: certificate.certificate,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
    },
  });
  installBodyDeadline(app, TCP_TIMEOUTS.requestTimeout);
  // HTTP/2 has no such header; fastify sets it when it refuses a body.
  app.addHook('onSend', async (request, reply) => {
    if (request.raw.httpVersionMajor === 2) reply.removeHeader('connection');
  });
  return finishTlsDoor(app, options, counters);
}

export interface OperatorsDoorOptions extends DoorOptions {
  socket: SocketAddress;
}

/** For operators of this machine: who may open the socket file is who may operate. */
export function createOperatorsDoor({ socket, ...options }: OperatorsDoorOptions): Door<OperatorsApp> {
  const { counters, common } = doorBase(options);
  const app: OperatorsApp = Fastify({
    ...common,
    requestTimeout: UPLOAD_MS,
    http: { ...TCP_TIMEOUTS, requestTimeout: UPLOAD_MS },
  });
  return finishDoor({
    app,
    options,
    counters,
    listen: async () => {
      await app.ready();
      await listenOnSocket(app.server, socket);
      return 0;
    },
  });
}

/** For a collector of this machine that reads no Unix sockets: it finds figures here, and nothing else. */
export function createMetricsDoor({ port, ...options }: DoorOptions & { port: number }): Door<OperatorsApp> {
  const { counters, common } = doorBase(options);
  const app: OperatorsApp = Fastify({ ...common, http: TCP_TIMEOUTS });
  return finishDoor({
    app,
    options,
    counters,
    listen: () => listenOnTcp(app, { host: '127.0.0.1', port }),
  });
}

/** Artifacts come in here, as fast as this machine's disk takes them. */
const UPLOAD_MS = 30 * 60_000;

/** A session that resets, invents frames or hoards streams is closed long before it costs anything. */
const HTTP2_LIMITS = {
  settings: { maxConcurrentStreams: 32, maxHeaderListSize: 16_384, enablePush: false },
  maxHeaderListPairs: 64,
  maxSessionMemory: 8,
  maxSessionInvalidFrames: 32,
  maxSessionRejectedStreams: 32,
  streamResetBurst: 100,
  streamResetRate: 10,
  unknownProtocolTimeout: 10_000,
};

function finishTlsDoor<App extends FirmwareApp | AgentsApp>(
  app: App,
  options: Omit<TlsDoorOptions, 'certificate'>,
  counters: DoorCounters,
): Door<App> {
  app.server.on('tlsClientError', (error: NodeJS.ErrnoException) => {
    counters.tlsClientErrors += 1;
    options.logger.debug({ reason: error.code ?? error.message }, 'TLS handshake failed');
  });
  return finishDoor({ app, options, counters, listen: () => listenOnTcp(app, options) });
}

/** Node's own listen: fastify's would open further sockets for the name localhost. */
async function listenOnTcp(app: AnyApp, { host, port }: { host: string; port: number }): Promise<number> {
  await app.ready();
  const server: Server = app.server;
  const listening = once(server, 'listening');
  server.listen({ host, port });
  await listening.catch((cause: unknown) => {
    throw new DoorError('door-not-opened', `cannot listen on ${host} port ${port}: ${messageOf(cause)}`, {
      cause,
    });
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
