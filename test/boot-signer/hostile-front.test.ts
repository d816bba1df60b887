import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/boot-signer/config.ts';
import { type KeyLink, startKeyProcess } from '../../src/boot-signer/front/key-link.ts';
import type { CallBody } from '../../src/boot-signer/key-process/messages.ts';
import { lockState, openState, stateLayout } from '../../src/boot-signer/state-folder.ts';
import { toHex } from '../../src/core/bytes.ts';
import { Approver, canonicalOf, channelOf, ServiceFolder, timestampOf } from './service-fixture.ts';

/** The key process, and us in place of its front. */
async function keyProcess(signaturesPerMinute = 60) {
  const service = new ServiceFolder();
  await service.addKey('online');
  const alice = new Approver('alice');
  service.configure({
    keys: [{ name: 'online', reference: 'file:online.json', secret: 'file:passphrase', signaturesPerMinute }],
    approvers: [{ person: 'alice', publicKeys: alice.publicKeys }],
    roles: [
      { role: 'timestamp', keys: ['online'], maxDays: 30 },
      { role: 'channel-demo', keys: ['online'], maxDays: 30, approvals: { count: 1, people: ['alice'] } },
    ],
  });
  await service.initialise();
  const config = loadConfig(service.configFile);
  const layout = stateLayout(config.stateDir);
  const lock = await lockState(layout);
  const state = await openState(layout);
  const { log, anchor } = state;
  const parts = {
    config,
    configFile: service.configFile,
    environment: {},
    log,
    anchor,
    lock: lock.descriptor,
  };
  const link = await startKeyProcess(parts);
  onTestFinished(async () => {
    link.close();
    await link.ended;
    await state.close();
    lock.server.close();
  });
  const submit = (role: string, text: string, client = 'front') =>
    link.call({
      call: 'submit',
      type: 'metadata',
      role,
      keyIds: service.keyIds('online'),
      text,
      client,
    });
  return { link, submit, alice };
}

const textOf = (signed: Parameters<typeof canonicalOf>[0]): string =>
  Buffer.from(canonicalOf(signed)).toString('latin1');

describe('a front that was taken over', () => {
  it.each<[string, string, string, string]>([
    ['bytes of its choice', 'timestamp', 'any bytes', 'metadata-refused'],
    ['another role than the key has', 'targets', textOf(timestampOf(1)), 'key-not-here'],
    ['a version ahead', 'timestamp', textOf(timestampOf(9)), 'version-not-next'],
    ['what never expires', 'timestamp', textOf(timestampOf(1, 1, 24 * 365)), 'expiry-refused'],
  ])('gets no signature on %s', async (_what, role, text, code) => {
    const { submit } = await keyProcess();
    await expect(submit(role, text)).rejects.toMatchObject({ code });
  });

  it('gets no release signed without the people, whatever it says of them', async () => {
    const { link, submit, alice } = await keyProcess();
    const text = textOf(channelOf('demo', 1, { 1: 'a1'.repeat(32) }));
    expect(await submit('channel-demo', text)).toMatchObject({ state: 'pending' });
    const [request] = (await link.call({ call: 'requests' })) as { id: string }[];
    const [signer] = alice.signers;
    const forged = { keyId: signer?.keyId ?? '', signature: toHex(Buffer.alloc(64, 1)) };
    await expect(link.call({ call: 'approve', id: request?.id ?? '', ...forged })).rejects.toMatchObject({
      code: 'approval-refused',
    });
    expect(await submit('channel-demo', text)).toMatchObject({ state: 'pending' });
  });

  it.each<[string, object]>([
    ['no call', { call: 'sign-these-bytes', bytes: '00' }],
    ['a call with more in it', { call: 'requests', approved: true }],
  ])('that says %s ends the key process', async (_what, call) => {
    const { link } = await keyProcess();
    await expect(link.call(call as CallBody)).rejects.toMatchObject({ code: 'signer-stopped' });
    expect(await isEnded(link)).toBe(true);
  });
});

describe('a client that sends junk', () => {
  it('uses up no key: others get their signatures', async () => {
    const { submit } = await keyProcess(2);
    for (let sent = 0; sent < 5; sent += 1)
      await expect(submit('timestamp', 'junk', 'mallory')).rejects.toMatchObject({
        code: 'metadata-refused',
      });
    const waiting = textOf(channelOf('demo', 1, { 1: 'a1'.repeat(32) }));
    for (let sent = 0; sent < 5; sent += 1)
      expect(await submit('channel-demo', waiting, 'mallory')).toMatchObject({ state: 'pending' });
    expect(await submit('timestamp', textOf(timestampOf(1)), 'ci')).toMatchObject({ state: 'signed' });
  });

  it('has so much judged and no more, and others as much as before', async () => {
    const { submit } = await keyProcess(2);
    const flood = Array.from({ length: 700 }, () =>
      submit('timestamp', 'junk', 'mallory').catch(({ code }) => code),
    );
    const honest = submit('timestamp', textOf(timestampOf(1)), 'ci');
    const codes = await Promise.all(flood);
    expect(codes.slice(0, 600).every((code) => code === 'metadata-refused')).toBe(true);
    expect(codes.filter((code) => code === 'rate-limited').length).toBeGreaterThan(50);
    expect(await honest).toMatchObject({ state: 'signed' });
    const large = 'x'.repeat(3 * 1024 * 1024);
    const refusals: string[] = [];
    for (let sent = 0; sent < 15; sent += 1)
      refusals.push(await submit('timestamp', large, 'eve').catch(({ code }) => code));
    expect(refusals.at(-1)).toBe('rate-limited');
  });
});

async function isEnded({ ended }: KeyLink): Promise<boolean> {
  return (await ended) !== 0;
}
