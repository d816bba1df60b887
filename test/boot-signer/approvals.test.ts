import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { verifyAuditLog } from '../../src/boot-signer/audit/audit-log.ts';
import { parseConfig } from '../../src/boot-signer/config.ts';
import {
  ApprovalPending,
  approveRequest,
  createSigningServiceSigner,
  getRequest,
  listRequests,
  type ShownRequest,
  withdrawRequest,
} from '../../src/cli/boot-sign/signing-service-client.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { Signer } from '../../src/signing/signer.ts';
import { Approver, canonicalOf, channelOf, ServiceFolder } from './service-fixture.ts';

const A = 'a1'.repeat(32);

async function approvedService(approvers: readonly Approver[], count = 2) {
  const service = new ServiceFolder();
  await service.addKey('release');
  service.configure({
    approvers: approvers.map(({ person, publicKeys }) => ({ person, publicKeys })),
    roles: [
      {
        role: 'channel-demo',
        keys: ['release'],
        maxDays: 30,
        approvals: { count, people: approvers.map(({ person }) => person) },
      },
    ],
  });
  await service.initialise();
  const running = await service.start();
  const ask = (canonical: Uint8Array) =>
    createSigningServiceSigner(service).sign({
      role: 'channel-demo',
      keyIds: service.keyIds('release'),
      canonical,
    });
  /** The open request for this text. */
  const pending = async (canonical: Uint8Array): Promise<ShownRequest> => {
    const error = await ask(canonical).catch((thrown: unknown) => thrown);
    if (!(error instanceof ApprovalPending)) throw new Error('it is not pending', { cause: error });
    return (await getRequest(service, error.requestId)).request;
  };
  return { service, running, ask, pending };
}

const keyOf = (approver: Approver, index = 0): Signer => {
  const signer = approver.signers[index];
  if (signer === undefined) throw new Error('no such key');
  return signer;
};
/** Made once, so that the same release is the same bytes. */
const RELEASE = canonicalOf(channelOf('demo', 1, { 41: A }));

describe('S17 a release that two people must approve', () => {
  it('S17 is signed once two people signed the digest of this very request', async () => {
    const [alice, bob] = [new Approver('alice'), new Approver('bob', ['ecdsa-sha2-nistp256'])];
    const { service, ask, pending } = await approvedService([alice, bob]);
    const shown = await pending(RELEASE);
    expect(shown.missing).toBe(2);
    await approveRequest(service, shown, keyOf(alice));
    await expect(ask(RELEASE)).rejects.toMatchObject({ code: 'approval-pending', missing: 1 });
    const approved = await approveRequest(service, shown, keyOf(bob));
    expect(approved).toMatchObject({ state: 'approved', people: ['alice', 'bob'], missing: 0 });
    const first = await ask(RELEASE);
    expect(first).toHaveLength(1);
    expect(await ask(RELEASE)).toEqual(first);
    const signed = verifyAuditLog(service.audit()).records.filter(({ event }) => event.type === 'signed');
    expect(signed.map(({ event }) => event.people)).toEqual([['alice', 'bob']]);
  });

  it('S17 counts one person with two keys once', async () => {
    const [alice, bob] = [new Approver('alice', ['ed25519', 'ecdsa-sha2-nistp256']), new Approver('bob')];
    const { service, ask, pending } = await approvedService([alice, bob]);
    const shown = await pending(RELEASE);
    await approveRequest(service, shown, keyOf(alice, 0));
    expect(await approveRequest(service, shown, keyOf(alice, 1))).toMatchObject({
      people: ['alice'],
      missing: 1,
    });
    await expect(ask(RELEASE)).rejects.toMatchObject({ code: 'approval-pending', missing: 1 });
  });

  it('S17 counts no approval of another request, nor of one that was withdrawn', async () => {
    const [alice, bob] = [new Approver('alice'), new Approver('bob')];
    const { service, ask, pending } = await approvedService([alice, bob]);
    const first = await pending(RELEASE);
    await approveRequest(service, first, keyOf(alice));
    await withdrawRequest(service, first);
    const second = await pending(RELEASE);
    expect(second).toMatchObject({ people: [], missing: 2 });
    expect(second.id).not.toBe(first.id);
    const replayed = { ...(await signatureOver(first, keyOf(alice))), id: second.id };
    expect(await post(service, replayed)).toMatchObject({ code: 'approval-refused' });
    await approveRequest(service, second, keyOf(alice));
    await expect(ask(canonicalOf(channelOf('demo', 1, { 41: 'c3'.repeat(32) })))).rejects.toMatchObject({
      code: 'approval-pending',
      missing: 2,
    });
  });

  it('S17 counts nobody who is not named, and no key that two people share', async () => {
    const [alice, bob] = [new Approver('alice'), new Approver('bob')];
    const { service, pending } = await approvedService([alice, bob]);
    const shown = await pending(RELEASE);
    await expect(approveRequest(service, shown, keyOf(new Approver('mallory')))).rejects.toThrow(
      /approval-refused/,
    );
    const forged = { ...(await signatureOver(shown, keyOf(bob))), keyId: keyOf(alice).keyId, id: shown.id };
    expect(await post(service, forged)).toMatchObject({ code: 'approval-refused' });
    const shared = {
      stateDir: 's',
      socket: { path: 'p' },
      keys: [{ name: 'k', reference: 'file:k' }],
      roles: [{ role: 'stage0', keys: ['k'], maxDays: 1, approvals: { count: 2, people: ['alice', 'eve'] } }],
      approvers: ['alice', 'eve'].map((person) => ({ person, publicKeys: alice.publicKeys })),
    };
    expect(() => parseConfig(JSON.stringify(shared), '/')).toThrow(/public key of an approver .* twice/);
  });

  it('S17 forgets nothing when it is killed: requests, approvals, what was signed', async () => {
    const [alice, bob] = [new Approver('alice'), new Approver('bob')];
    const { service, running, ask, pending } = await approvedService([alice, bob]);
    const shown = await pending(RELEASE);
    await approveRequest(service, shown, keyOf(alice));
    process.kill(running.pid, 'SIGKILL');
    await running.ended;
    await service.start();
    expect(await listRequests(service)).toEqual([{ ...shown, people: ['alice'], missing: 1 }]);
    await approveRequest(service, shown, keyOf(bob));
    expect(await ask(RELEASE)).toHaveLength(1);
    await expect(approveRequest(service, shown, keyOf(alice))).rejects.toThrow(/request-closed/);
  });
});

describe('a request that was withdrawn', () => {
  it('can be taken back by an approver, and is closed then', async () => {
    const [alice, bob] = [new Approver('alice'), new Approver('bob')];
    const { service, pending } = await approvedService([alice, bob]);
    const shown = await pending(RELEASE);
    expect(await withdrawRequest(service, shown, keyOf(bob))).toMatchObject({ state: 'withdrawn' });
    await expect(approveRequest(service, shown, keyOf(alice))).rejects.toThrow(/request-closed/);
    await expect(withdrawRequest(service, shown)).rejects.toThrow(/request-closed/);
  });
});

async function signatureOver(shown: ShownRequest, signer: Signer) {
  const { approvalDigest } = await import('../../src/boot-signer/approvals.ts');
  return { keyId: signer.keyId, signature: toHex(await signer.sign(approvalDigest(shown))) };
}

/** An approval as a client of one's own would send it. */
function post(service: ServiceFolder, { id, ...body }: { id: string; keyId: string; signature: string }) {
  return new Promise<Record<string, unknown>>((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const path = `/v1/requests/${id}/approvals`;
    request({ socketPath: service.socketPath, method: 'POST', path, headers }, async (response) => {
      const chunks = await response.toArray();
      resolve(JSON.parse(Buffer.concat(chunks).toString()));
    })
      .once('error', reject)
      .end(JSON.stringify(body));
  });
}
