import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { verifyAuditLog } from '../../src/boot-signer/audit/audit-log.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { openKeyFile } from '../../src/signing/keys/key-file.ts';
import { PASSPHRASE, SigningDesk } from '../cli/boot-sign-fixture.ts';
import { canonicalOf, ServiceFolder } from './service-fixture.ts';

const HERE = ['root', 'timestamp'];

async function newDesk(): Promise<SigningDesk> {
  const desk = new SigningDesk();
  onTestFinished(() => desk.close());
  desk.nowMs = Date.now();
  expect((await desk.init()).stderr).toBe('');
  return desk;
}

/** A repository, and a service that holds the keys of root and timestamp and goes on from it. */
async function world() {
  const desk = await newDesk();
  const service = new ServiceFolder();
  copyFileSync(desk.path('passphrase'), join(service.folder, 'passphrase'));
  for (const role of HERE) {
    copyFileSync(join(desk.repository, 'keys', `${role}.json`), join(service.folder, `${role}.json`));
    service.signers.set(role, await openKeyFile(join(service.folder, `${role}.json`), PASSPHRASE));
  }
  const alice = await desk.run(
    'new-key',
    join(service.folder, 'alice.json'),
    '--passphrase-file',
    desk.path('passphrase'),
  );
  expect(alice.status).toBe(0);
  const aliceKey = await openKeyFile(join(service.folder, 'alice.json'), PASSPHRASE);
  service.configure({
    roles: HERE.map((role) => ({ role, keys: [role], maxDays: 3650 })),
    approvers: [{ person: 'alice', publicKeys: [aliceKey.key.keyval.public].map(toPem) }],
    adoption: { approvals: { count: 1, people: ['alice'] } },
  });
  await service.initialise(desk.repository);
  const running = await service.start();
  const reach = ['--service', service.socketPath];
  const signer = createSigningServiceSigner(service);
  const sign = (role: string, signed: JsonObject) =>
    signer.sign({ role, keyIds: service.keyIds(role), canonical: canonicalOf(signed) });
  const adopt = (repository = desk.repository) => desk.run('adopt', repository, ...reach);
  const approve = async () => {
    const { requests } = JSON.parse((await desk.run('requests', 'list', ...reach, '-o', 'json')).stdout);
    const key = ['--key', join(service.folder, 'alice.json'), '--passphrase-file', desk.path('passphrase')];
    return desk.run('requests', 'approve', requests[0].id, ...key, ...reach);
  };
  return { desk, service, running, sign, adopt, approve };
}

function toPem(publicHex: string): string {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(publicHex, 'hex')]);
  return `-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----\n`;
}

/** The next version of what is in force, good for a day less for each `other`. */
function nextOf({ repository }: SigningDesk, file: string, other: number): JsonObject {
  const { signed } = JSON.parse(readFileSync(join(repository, 'metadata', file), 'utf8'));
  const expires = new Date(Date.parse(signed.expires) - other * 86_400_000).toISOString();
  return { ...signed, version: signed.version + 1, expires: expires.replace('.000Z', 'Z') };
}

it('a root that was signed and given up is signed again with another content, once people adopted what is in force', async () => {
  const { desk, service, running, sign, adopt, approve } = await world();
  expect(await sign('root', nextOf(desk, '1.root.json', 1))).toHaveLength(1);
  expect(await sign('timestamp', nextOf(desk, 'timestamp.json', 1))).toHaveLength(1);
  await expect(sign('root', nextOf(desk, '1.root.json', 2))).rejects.toThrow(/version-taken/);

  expect(await adopt()).toMatchObject({ status: 79 });
  await expect(sign('root', nextOf(desk, '1.root.json', 2))).rejects.toThrow(/version-taken/);
  expect(await approve()).toMatchObject({ status: 0, stdout: expect.stringContaining('root version 1') });
  expect(await adopt()).toMatchObject({ status: 0, stdout: expect.stringContaining('root version 1') });
  process.kill(running.pid, 'SIGKILL');
  await running.ended;
  await service.start();

  expect(await sign('root', nextOf(desk, '1.root.json', 2))).toHaveLength(1);
  // No number but root's goes down, and an approval is good for one time.
  await expect(sign('timestamp', nextOf(desk, 'timestamp.json', 2))).rejects.toThrow(/version-taken/);
  expect(await adopt()).toMatchObject({ status: 0 });
  await expect(sign('root', nextOf(desk, '1.root.json', 3))).rejects.toThrow(/version-taken/);
  const { records } = verifyAuditLog(service.audit());
  expect(records.filter(({ event }) => event.type === 'adopted')).toMatchObject([
    { event: { people: ['alice'], roles: { root: { version: 1 } } } },
  ]);
});

it('metadata that the chain from the trusted root does not reach are not adopted', async () => {
  const { adopt } = await world();
  const other = await newDesk();
  expect(await adopt(other.repository)).toMatchObject({
    status: 76,
    stderr: expect.stringContaining('adoption-refused'),
  });
});
