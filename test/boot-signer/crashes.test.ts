import { appendFileSync, copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { verifyAuditLog } from '../../src/boot-signer/audit/audit-log.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import {
  Approver,
  canonicalOf,
  channelOf,
  type Fault,
  ServiceFolder,
  timestampOf,
} from './service-fixture.ts';

async function folder(): Promise<ServiceFolder> {
  const service = new ServiceFolder();
  await service.addKey('online');
  const alice = new Approver('alice');
  service.configure({
    approvers: [{ person: 'alice', publicKeys: alice.publicKeys }],
    roles: [
      { role: 'timestamp', keys: ['online'], maxDays: 30 },
      { role: 'channel-demo', keys: ['online'], maxDays: 30, approvals: { count: 1, people: ['alice'] } },
    ],
  });
  await service.initialise();
  return service;
}

const sign = (service: ServiceFolder, canonical: Uint8Array, role = 'timestamp') =>
  createSigningServiceSigner(service).sign({ role, keyIds: service.keyIds('online'), canonical });
const typesIn = (service: ServiceFolder): string[] =>
  verifyAuditLog(service.audit()).records.map(({ event }) => String(event.type));

describe('kill -9 at any step', () => {
  const faults: [string, Fault, 'recorded' | 'nothing'][] = [
    ['the front, before it asks', { process: 'front', step: 'received', time: 1 }, 'nothing'],
    ['the front, after it was decided', { process: 'front', step: 'decided', time: 1 }, 'recorded'],
    ['the key process, when it has judged', { process: 'key', step: 'judged', time: 1 }, 'nothing'],
    ['the key process, when it has signed', { process: 'key', step: 'signed', time: 1 }, 'nothing'],
    // The first record is that of the start.
    ['the key process, before the record', { process: 'key', step: 'before-record', time: 2 }, 'nothing'],
    ['the key process, after the record', { process: 'key', step: 'record-durable', time: 2 }, 'recorded'],
    ['the key process, before the answer', { process: 'key', step: 'before-answer', time: 1 }, 'recorded'],
  ];

  it.each(faults)('%s: no signature without its record, and the chain holds', async (_what, fault, left) => {
    const service = await folder();
    const stopped = await service.start({ fault });
    const timestamp = canonicalOf(timestampOf(1));
    await expect(sign(service, timestamp)).rejects.toThrow();
    expect(await stopped.ended).toBe(fault.process === 'front' ? 'SIGKILL' : 75);
    const recorded = typesIn(service).filter((type) => type === 'signed');
    expect(recorded).toHaveLength(left === 'recorded' ? 1 : 0);
    await service.start();
    expect(await sign(service, timestamp)).toHaveLength(1);
    expect(typesIn(service).filter((type) => type === 'signed')).toHaveLength(1);
  });

  it.each<[string, Fault]>([
    ['before its text is kept', { process: 'front', step: 'decided', time: 1 }],
    ['after its text is kept', { process: 'front', step: 'text-saved', time: 1 }],
    ['before its record', { process: 'key', step: 'before-record', time: 2 }],
  ])('a request that waits, %s: asking again goes on with one request', async (_what, fault) => {
    const service = await folder();
    const stopped = await service.start({ fault });
    const channel = canonicalOf(channelOf('demo', 1, { 1: 'a1'.repeat(32) }));
    await expect(sign(service, channel, 'channel-demo')).rejects.toThrow();
    await stopped.ended;
    await service.start();
    await expect(sign(service, channel, 'channel-demo')).rejects.toMatchObject({ code: 'approval-pending' });
    expect(typesIn(service).filter((type) => type === 'request-opened')).toHaveLength(1);
  });

  it('a key process that is killed ends the front too, so that both start anew', async () => {
    const service = await folder();
    const running = await service.start();
    process.kill(running.keyProcessPid, 'SIGKILL');
    expect(await running.ended).toBe(75);
  });
});

describe('the state of the service', () => {
  it('has its last line repaired when a crash tore it, and says so', async () => {
    const service = await folder();
    appendFileSync(service.logFile, '{"event":{"type":"signed"');
    await service.start();
    expect(typesIn(service)).toEqual(['initialised', 'log-repaired', 'started']);
  });

  it('does not start with a record that was changed', async () => {
    const service = await folder();
    await (await service.start()).stop();
    writeFileSync(service.logFile, service.audit().toString().replace('initialised', 'initialized'));
    const { isReady, stderr, ended } = await service.start();
    expect({ isReady, code: await ended, why: stderr() }).toMatchObject({
      isReady: false,
      code: 78,
      why: expect.stringContaining('audit-log-damaged'),
    });
  });

  it.each<[string, string, (service: ServiceFolder) => void]>([
    ['is lost', 'state-missing', ({ logFile }) => rmSync(logFile)],
    [
      'is lost with its anchor',
      'state-missing',
      ({ logFile, anchorFile }) => [logFile, anchorFile].map((file) => rmSync(file)),
    ],
    ['is emptied', 'state-rolled-back', ({ logFile }) => truncateSync(logFile)],
    ['is an older copy', 'state-rolled-back', ({ logFile }) => copyFileSync(`${logFile}.old`, logFile)],
  ])('that %s stops the service by name: %s', async (_what, code, harm) => {
    const service = await folder();
    copyFileSync(service.logFile, `${service.logFile}.old`);
    const running = await service.start();
    await sign(service, canonicalOf(timestampOf(1)));
    await running.stop();
    harm(service);
    const { isReady, stderr } = await service.start();
    expect(isReady).toBe(false);
    expect(stderr()).toContain(code);
  });

  it('is of one service at a time', async () => {
    const service = await folder();
    await service.start();
    const second = await service.start();
    expect(second.isReady).toBe(false);
    expect(second.stderr()).toContain('state-busy');
  });

  it('holds no passphrase and no private key', async () => {
    const service = await folder();
    await service.start();
    await sign(service, canonicalOf(timestampOf(1)));
    expect(readFileSync(service.logFile, 'utf8')).not.toMatch(/correct horse|PRIVATE|ciphertext/);
  });
});
