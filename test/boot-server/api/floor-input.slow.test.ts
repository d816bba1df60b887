import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FloorApprovals, signFloorApprovals } from '../../../src/attestation/floor/floor-approval.ts';
import { encodeFloorRecord } from '../../../src/attestation/floor/floor-record.ts';
import { toBase64 } from '../../../src/core/bytes.ts';
import { createFloorKey } from '../../attestation/floor/floor-fixture.ts';
import { FloorWorld, KEY } from './floor-world.ts';
import { reasonsOf } from './published-server.ts';

let world: FloorWorld;

beforeEach(async () => {
  world = await FloorWorld.create();
});
afterEach(() => world.close());

describe('a listing with a floor key', () => {
  test('gives a boot the approval of its image and Secure Boot state', async () => {
    const answer = await world.boot();
    expect([answer.status, answer.json.floor]).toEqual([200, { approval: world.approvals.secureBoot }]);
    expect((await world.nodeShown()).floor).toEqual({ shown: false });
  });

  test('gives nothing but a boot an approval', async () => {
    await world.boot();
    expect((await world.health(world.recordNow())).json).not.toHaveProperty('floor');
  });

  test.each<[string, () => Promise<FloorApprovals> | FloorApprovals]>([
    ['by another key', () => signFloorApprovals(world.pcrs(), createFloorKey().sign)],
    ['of another image', () => signFloorApprovals({ ...world.pcrs(), pcr11: new Uint8Array(32) }, KEY.sign)],
    [
      'that are swapped',
      () => ({ secureBoot: world.approvals.noSecureBoot ?? '', noSecureBoot: world.approvals.secureBoot }),
    ],
    ['without that for Secure Boot off', () => ({ secureBoot: world.approvals.secureBoot })],
  ])('P8 is refused with approvals %s', async (_name, wrong) => {
    const answer = await world.list(await wrong());
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
    expect(answer.json.detail).toMatch(/^stage0\/x86-64-1\.efi: .*floor approval for Secure Boot o/);
    expect((await world.boot()).json.floor).toEqual({ approval: world.approvals.secureBoot });
  });

  test('is refused with a key that is none', async () => {
    const answer = await world.list(world.approvals, toBase64(new Uint8Array(91)));
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
  });
});

describe('what evidence may carry', () => {
  const evidenceWith = async (more: object) => {
    const { json } = await world.node.askChallenge();
    return world.node.submit({ ...(await world.node.evidence(json.challenge, 'boot')), ...more });
  };

  test.each<[string, object]>([
    ['a floor without its parts', { floor: {} }],
    [
      'a floor with a public area of its own',
      { floor: { attest: 'AAAA', signature: 'AAAA', contents: 'AAAA', nvPublic: 'AAAA' } },
    ],
    ['a floor that is no base64', { floor: { attest: '!!!!', signature: 'AAAA', contents: 'AAAA' } }],
    [
      'a record of more than 64 bytes',
      { floor: { attest: 'AAAA', signature: 'AAAA', contents: 'A'.repeat(92) } },
    ],
    ['a report of more than 16 KiB', { report: toBase64(new Uint8Array(16 * 1024 + 3)) }],
    ['a report that is no base64', { report: 'x' }],
  ])('is not %s', async (_name, more) => {
    const answer = await evidenceWith(more);
    expect([answer.status, answer.json.code]).toEqual([400, 'request-invalid']);
  });

  test('P7 is no certificate of another challenge, nor bytes that are none', async () => {
    const floor = {
      attest: 'AAAA',
      signature: 'AAAA',
      contents: toBase64(encodeFloorRecord(world.recordNow())),
    };
    expect(reasonsOf(await evidenceWith({ floor }))).toEqual(['floor-malformed']);
  });

  test('is a report that the claims name, and no other', async () => {
    expect((await world.send('boot', undefined, { report: 'the last line\n' })).json.verdict).toBe('accept');
    const claims = { reportSha256: '00'.repeat(32) };
    expect(reasonsOf(await world.send('boot', undefined, { report: 'x', claims }))).toEqual([
      'claims-report-mismatch',
    ]);
  });

  test('is a health that the running system claims', async () => {
    await world.boot();
    expect((await world.health(world.recordNow(), { claims: { health: 'unhealthy' } })).json.verdict).toBe(
      'accept',
    );
    expect(reasonsOf(await world.send('boot', undefined, { claims: { health: 'healthy' } }))).toEqual([
      'claims-malformed',
    ]);
  });
});
