import { createPublicKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createAuditCommand } from '../../src/cli/boot-sign/audit.ts';
import type { CommandContext } from '../../src/cli/boot-sign/command.ts';
import { createRequestsCommand } from '../../src/cli/boot-sign/requests.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { systemClock } from '../../src/core/clock.ts';
import { publicKeyOf } from '../../src/signing/public-key.ts';
import { canonicalOf, channelOf, pemOf, ServiceFolder } from './service-fixture.ts';

async function run(create: (context: CommandContext) => Command, ...args: string[]): Promise<string> {
  const stdout = new PassThrough();
  const context = { stdout, stderr: new PassThrough(), clock: systemClock, environment: {} };
  await create(context).exitOverride().parseAsync(args, { from: 'user' });
  return Buffer.concat(await stdout.end().toArray()).toString();
}

async function waitingService() {
  const service = new ServiceFolder();
  await service.addKey('release');
  const alice = await service.addKey('alice');
  const pem = pemOf(createPublicKey(publicKeyOf(alice.key).export({ type: 'spki', format: 'pem' })));
  service.configure({
    keys: [{ name: 'release', reference: 'file:release.json', secret: 'file:passphrase' }],
    approvers: [{ person: 'alice', publicKeys: [pem] }],
    roles: [
      { role: 'channel-demo', keys: ['release'], maxDays: 30, approvals: { count: 1, people: ['alice'] } },
    ],
  });
  await service.initialise();
  await service.start();
  const canonical = canonicalOf(channelOf('demo', 1, { 41: 'a1'.repeat(32) }));
  const sign = () =>
    createSigningServiceSigner(service).sign({
      role: 'channel-demo',
      keyIds: service.keyIds('release'),
      canonical,
    });
  await expect(sign()).rejects.toMatchObject({ code: 'approval-pending' });
  const requests = (...args: string[]) =>
    run(createRequestsCommand, ...args, '--service', service.socketPath);
  const audit = (...args: string[]) => run(createAuditCommand, ...args, '--service', service.socketPath);
  const id = JSON.parse(await requests('list', '-o', 'json')).requests[0].id as string;
  const passphrase = ['--passphrase-file', join(service.folder, 'passphrase')];
  const key = ['--key', join(service.folder, 'alice.json'), ...passphrase];
  return { service, sign, requests, audit, id, key };
}

it('an approver sees what would be signed, and approves it', async () => {
  const { sign, requests, id, key } = await waitingService();
  expect(await requests('show', id)).toContain('channels/demo/41.json');
  expect(await requests('approve', id, ...key)).toMatch(/lists channels\/demo\/41\.json.*approved by alice/s);
  expect(await sign()).toHaveLength(1);
  expect(await requests('list')).toBe('nothing waits\n');
  expect(await requests('list', '--all')).toContain('signed: approved by alice');
});

it('whoever asked takes a request back', async () => {
  const { requests, id } = await waitingService();
  expect(await requests('withdraw', id)).toContain('withdrawn');
  await expect(requests('withdraw', id)).rejects.toThrow(/request-closed/);
});

it('the audit log is verified, also against the head that was seen before', async () => {
  const { service, audit, requests, id } = await waitingService();
  const { head } = JSON.parse(await audit('verify', '-o', 'json'));
  await requests('withdraw', id);
  expect(await audit('verify', '--head', `${head.seq}:${head.sha256}`)).toContain('4 records');
  await expect(audit('verify', '--head', `${head.seq}:${'0'.repeat(64)}`)).rejects.toMatchObject({
    code: 'audit-head-missing',
  });
  const copy = join(service.folder, 'copy.jsonl');
  writeFileSync(copy, readFileSync(service.logFile, 'utf8').split('\n').toSpliced(1, 1).join('\n'));
  await expect(run(createAuditCommand, 'verify', '--file', copy)).rejects.toMatchObject({
    code: 'audit-log-damaged',
  });
  expect(await audit('show')).toContain('"withdrawn"');
});
