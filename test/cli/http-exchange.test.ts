import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { exchange, type HttpCall } from '../../src/cli/http-exchange.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const call = { method: 'POST', path: '/x', maxAnswerBytes: 10 } as const;
const ours = (cause: unknown) => new Error('unanswered', { cause });

async function exchangeWith(listener: RequestListener, changes: Partial<HttpCall> = {}) {
  const socketPath = join(await temporaryFolder(), 's');
  const server = createServer(listener).listen(socketPath);
  onTestFinished(() => void server.close().closeAllConnections());
  await once(server, 'listening');
  const { status, body } = await exchange({ socketPath }, { ...call, ...changes }, ours);
  return [status, Buffer.from(body).toString()];
}

const echo: RequestListener = async (request, response) => response.end(await text(request));

it('any status is an answer', async () => {
  expect(await exchangeWith((_, response) => response.writeHead(503).end('no'))).toEqual([503, 'no']);
});

it('a text and a stream arrive as they are', async () => {
  async function* parts() {
    yield Buffer.from('two ');
    yield Buffer.from('parts');
  }
  expect(await exchangeWith(echo, { body: 'text' })).toEqual([200, 'text']);
  expect(await exchangeWith(echo, { body: parts() })).toEqual([200, 'two parts']);
});

it('a refusal before all is sent is the answer', async () => {
  async function* unfinished() {
    yield Buffer.from('begun');
    await new Promise(() => undefined);
  }
  const refuse: RequestListener = (_, response) => response.writeHead(413).end('too long');
  expect(await exchangeWith(refuse, { body: unfinished() })).toEqual([413, 'too long']);
});

it.each<[string, RequestListener]>([
  ['an answer that is too long', (_, response) => response.end('x'.repeat(11))],
  ['one that ends early', (_, response) => response.writeHead(200, { 'content-length': 5 }).write('x')],
  ['none', (request) => request.socket.destroy()],
])('%s is the caller’s error', async (what, listener) => {
  const cut: RequestListener = (request, response) => {
    listener(request, response);
    if (what === 'one that ends early') setImmediate(() => request.socket.destroy());
  };
  await expect(exchangeWith(cut)).rejects.toMatchObject({ message: 'unanswered' });
});

it('what cannot be a request is no failure of the server', async () => {
  await expect(exchangeWith(echo, { path: '/a path' })).rejects.toMatchObject({
    code: 'ERR_UNESCAPED_CHARACTERS',
  });
});
