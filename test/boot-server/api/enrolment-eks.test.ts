import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../../src/core/bytes.ts';
import { NOT_BEFORE } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { createSoftwareEk } from '../../../src/fleet-sim/chip/software-ek.ts';
import { toPresented, type VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

const stateOf = async (node: VirtualNode) => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;

describe('E3 the manufacturer', () => {
  test('E3 that the TPM reports must be the one of its certificate', async () => {
    const node = await world.createNode();
    const answer = await node.begin({ tpmManufacturer: '49465800' });
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    expect(reasonsOf(answer)).toEqual(['ek-manufacturer-mismatch']);
    expect((await node.begin({ tpmManufacturer: '49424d00' })).status, 'its twin').toBe(201);
  });

  test('E3 is compared with every certificate that is shown', async () => {
    const node = await world.createNode();
    const directoryName = '2.23.133.2.1=id:49465800, 2.23.133.2.2=other, 2.23.133.2.3=id:1';
    const other = await createSoftwareEk(world.manufacturer, {
      template: 'H-3',
      certificate: { directoryName },
    });
    node.furtherEks = [other];
    expect(reasonsOf(await node.begin())).toEqual(['ek-manufacturer-mismatch']);
  });

  test('E3 not reported is a note, in the verdict for good', async () => {
    const node = await world.createNode();
    await node.enrol({ tpmManufacturer: undefined });
    const [verdict] = (await stateOf(node)).verdicts;
    expect(verdict.notes.map(({ code }: { code: string }) => code)).toContain('ek-manufacturer-unreported');
    const uncertified = await world.createNode();
    const eks = [{ public: toBase64(uncertified.ek.public) }];
    await uncertified.enrol({ eks, tpmManufacturer: undefined });
    expect(JSON.stringify((await stateOf(uncertified)).verdicts)).not.toContain('ek-manufacturer');
  });
});

test('E5 what is noted of an EK certificate is in the verdict of its enrolment', async () => {
  const notAfter = new Date(NOT_BEFORE.getTime() + 86_400_000);
  const ek = await createSoftwareEk(world.manufacturer, { certificate: { notAfter } });
  const node = await world.createNode({ ek });
  expect((await node.enrol()).json.facts.identity).toBe('certified');
  const [verdict] = (await stateOf(node)).verdicts;
  expect(verdict.notes.map(({ code }: { code: string }) => code)).toContain('ek-certificate-expired');
});

test('E9 E12 with an ECC key as well: the certificate of another key, and one that is none', async () => {
  const node = await world.createNode();
  const [ek, other] = await Promise.all(
    [1, 2].map(() => createSoftwareEk(world.manufacturer, { template: 'H-3' })),
  );
  if (ek === undefined || other === undefined) throw new Error('no keys');
  const mixed = [{ ...toPresented(ek), certificate: toBase64(other.certificate) }];
  expect(reasonsOf(await node.begin({ eks: mixed }))).toEqual(['ek-certificate-key-mismatch']);
  const broken = [
    toPresented(node.ek),
    { ...toPresented(ek), certificate: toBase64(Buffer.from('not DER')) },
  ];
  expect(reasonsOf(await node.begin({ eks: broken }))).toEqual(['ek-certificate-malformed']);
});

test('an EK of no template of the profile is refused, certified or not', async () => {
  const LOW = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'decrypt'] as const;
  for (const attributes of [attributesOf(...LOW), attributesOf(...LOW, 'adminWithPolicy', 'noDA')]) {
    const ek = await createSoftwareEk(world.manufacturer, { attributes });
    const node = await world.createNode({ ek });
    for (const eks of [[toPresented(ek)], [{ public: toBase64(ek.public) }]])
      expect(reasonsOf(await node.begin({ eks }))).toEqual(['ek-key-unsuitable']);
  }
});

test('E17 whatever bit of an ECC key is flipped, the answer is ours and never a failure', async () => {
  const node = await world.createNode();
  const ek = await createSoftwareEk(world.manufacturer, { template: 'H-3' });
  for (let index = 0; index < ek.public.length; index += 1) {
    const flipped = Buffer.from(ek.public);
    flipped.writeUInt8(flipped.readUInt8(index) ^ (1 << (index % 8)), index);
    const answer = await node.begin({ eks: [{ ...toPresented(ek), public: toBase64(flipped) }] });
    expect([400, 403], `byte ${index}: ${answer.bytes}`).toContain(answer.status);
  }
});

test('E6 where revocation lists are required, a certificate of a CA without one does not count', async () => {
  const strict = await PublishedServer.publish(['endorsementKeys: { revocationLists: required }']);
  try {
    const node = await strict.createNode();
    expect(reasonsOf(await node.begin())).toEqual(['ek-revocation-unknown']);
  } finally {
    await strict.close();
  }
});
