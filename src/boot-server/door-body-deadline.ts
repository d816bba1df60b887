import type { AgentsApp } from './door.ts';

/**
 * Node's `requestTimeout` bounds how slowly a request may come in over HTTP/1.1. Over HTTP/2 nothing does:
 * a byte now and then keeps the session from being idle. So a body that has not arrived by the deadline
 * ends its stream, without an answer, and the other streams go on.
 */
export function installBodyDeadline(app: AgentsApp, deadlineMs: number): void {
  const timers = new WeakMap<object, NodeJS.Timeout>();
  app.addHook('onRequest', async (request) => {
    if (request.raw.httpVersionMajor !== 2 || request.method === 'GET' || request.method === 'HEAD') return;
    timers.set(request, setTimeout(() => request.raw.stream.destroy(), deadlineMs).unref());
  });
  // The body has been read when validation begins; a refusal before that ends in a response.
  app.addHook('preValidation', async (request) => clearTimeout(timers.get(request)));
  app.addHook('onResponse', async (request) => clearTimeout(timers.get(request)));
}
