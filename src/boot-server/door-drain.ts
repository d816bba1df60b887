import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

interface DrainedRequest {
  raw: { httpVersionMajor: number; socket: { destroySoon?: () => void } };
}

interface DrainedReply {
  header(name: string, value: string): unknown;
}

/** The part of a fastify instance that draining takes hold of. */
interface DrainedApp {
  server: EventEmitter;
  addHook(
    name: 'onSend',
    hook: (request: DrainedRequest, reply: DrainedReply, payload: unknown, done: () => void) => void,
  ): unknown;
  addHook(
    name: 'onResponse',
    hook: (request: DrainedRequest, reply: DrainedReply, done: () => void) => void,
  ): unknown;
  close(): PromiseLike<unknown>;
}

/**
 * A graceful stop: no new connection, answers under way are finished, and what is still open at the
 * deadline is cut. `close()` alone waits for clients that keep their connection alive, and closing
 * everything at once cuts downloads. HTTP/2 clients are told by GOAWAY, which node sends on close.
 *
 * @returns a function that drains; the promise it returns settles at the deadline at the latest
 */
export function installDrain(app: DrainedApp): (deadlineSeconds: number) => Promise<void> {
  const connections = trackConnections(app.server);
  let draining = false;
  app.addHook('onSend', (request, reply, _payload, done) => {
    if (draining && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
    done();
  });
  // An answer that began before the drain said keep-alive: end its connection when it is out.
  app.addHook('onResponse', (request, _reply, done) => {
    if (draining && request.raw.httpVersionMajor === 1) request.raw.socket.destroySoon?.();
    done();
  });

  return async (deadlineSeconds) => {
    draining = true;
    const closed = Promise.resolve(app.close());
    const timer = new AbortController();
    const deadline = delay(deadlineSeconds * 1000, undefined, { signal: timer.signal }).catch(
      () => undefined,
    );
    await Promise.race([closed, deadline]);
    timer.abort();
    for (const socket of connections) socket.destroy();
    await closed;
  };
}

/** Below TLS and HTTP versions, so that destroying one ends whatever runs on it. */
function trackConnections(server: EventEmitter): ReadonlySet<Socket> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return open;
}
