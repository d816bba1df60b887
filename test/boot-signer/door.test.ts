import { request } from 'node:http';
import { expect, it } from 'vitest';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { canonicalOf, ServiceFolder, timestampOf } from './service-fixture.ts';

it('what a client sends never ends the service: it is refused by a code', async () => {
  const service = new ServiceFolder();
  const { keyId } = await service.addKey('online');
  service.configure({ roles: [{ role: 'timestamp', keys: ['online'], maxDays: 30 }] });
  await service.initialise();
  await service.start();
  const send = (path: string, body: string, type = 'application/json') =>
    post(service.socketPath, { path, body, type });
  const good = { type: 'metadata', role: 'timestamp', keyIds: [keyId], signed: '{}' };
  const submit = (change: object) => send('/v1/requests', JSON.stringify({ ...good, ...change }));
  expect(await submit({})).toBe('metadata-refused');
  for (const change of [
    { more: 1 },
    { keyIds: [] },
    { keyIds: [`${keyId}00`] },
    { type: '😀'.repeat(64) },
    { role: '../root' },
    { signed: 7 },
    { type: 'bytes' },
  ])
    expect(await submit(change)).toBe('request-invalid');
  expect(await submit({ signed: '\ud800' })).toBe('request-invalid');
  expect(await submit({ signed: '\u0000'.repeat(4000) })).toBe('metadata-refused');
  expect(await submit({ signed: 'x'.repeat(4 * 1024 * 1024 + 1) })).toBe('request-invalid');
  expect(await send('/v1/requests', '{"type":"a","type":"b"}')).toBe('request-invalid');
  expect(await send('/v1/requests', 'role: x', 'application/yaml')).toBe('content-type-unsupported');
  expect(await send(`/v1/requests/${'0'.repeat(32)}/withdraw`, '{}')).toBe('request-unknown');
  expect(await send(`/v1/requests/${'0'.repeat(33)}/withdraw`, '{}')).toBe('request-invalid');
  const approval = { keyId: '0'.repeat(65), signature: '00' };
  expect(await send(`/v1/requests/${'0'.repeat(32)}/approvals`, JSON.stringify(approval))).toBe(
    'request-invalid',
  );
  const canonical = canonicalOf(timestampOf(1));
  const signer = createSigningServiceSigner(service);
  expect(await signer.sign({ role: 'timestamp', keyIds: [keyId], canonical })).toHaveLength(1);
});

/** The code of the refusal. */
function post(
  socketPath: string,
  { path, body, type }: { path: string; body: string; type: string },
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) };
    const outgoing = request({ socketPath, method: 'POST', path, headers }, async (response) => {
      const chunks = await response.toArray();
      resolve(JSON.parse(Buffer.concat(chunks).toString()).code);
    });
    outgoing.once('error', reject).end(body);
  });
}
