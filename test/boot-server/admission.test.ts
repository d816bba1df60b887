import { beforeAll, describe, expect, test } from 'vitest';
import type { AttestationStore, EnrolmentRecord } from '../../src/attestation/attestation-store.ts';
import { createAdmissionService } from '../../src/boot-server/services/admission.ts';
import type { EnrolmentTokenService } from '../../src/boot-server/services/enrolment-tokens.ts';
import { type Authority, createAuthority } from '../../src/fleet-sim/chip/manufacturer.ts';
import { createSoftwareEk, type TemplateName } from '../../src/fleet-sim/chip/software-ek.ts';

let manufacturer: Authority;

beforeAll(async () => {
  manufacturer = await createAuthority('test TPM manufacturer');
});

const token = { sha256: 'ab', channel: 'edge', comment: '', createdAtSeconds: 0, expiresAtSeconds: 9 };

function admissionWith({ open = true, listed = false } = {}) {
  const store = { findListedEk: async () => (listed ? { channel: 'racks' } : undefined) };
  const tokens = { require: async () => token };
  return createAdmissionService({
    store: store as unknown as AttestationStore,
    tokens: tokens as unknown as EnrolmentTokenService,
    isOpenChannel: async (channel) => open && channel === 'demo',
    defaultChannel: 'demo',
  });
}

async function enrolmentWith(
  keys: readonly (readonly [TemplateName, 'certified' | 'uncertified'])[],
  tokenSha256?: string,
): Promise<EnrolmentRecord> {
  const credentials = await Promise.all(
    keys.map(async ([template, identity], index) => {
      const { publicArea } = await createSoftwareEk(manufacturer, { template });
      return { fingerprint: `ek${index}`, publicArea: publicArea.raw, identity, secretSha256: '' };
    }),
  );
  return {
    id: 'e1',
    akPublic: new Uint8Array(),
    akName: 'ak',
    credentials,
    clientThumbprint: '',
    untrustedHints: {},
    ...(tokenSha256 !== undefined && { tokenSha256 }),
    notes: [],
    expiresAtSeconds: 0,
  };
}

const waiting = { status: 'pending', admission: 'pending', channel: 'demo' };
const open = { status: 'enrolled', admission: 'open', channel: 'demo' };

describe('a channel that policy opened', () => {
  test.each([
    ['a certified TPM', [['L-1', 'certified']], open],
    [
      'with a further key',
      [
        ['L-1', 'certified'],
        ['H-3', 'certified'],
      ],
      open,
    ],
  ] as const)('admits %s', async (_name, keys, standing) => {
    expect(await admissionWith().decide(await enrolmentWith(keys), undefined)).toEqual(standing);
  });

  test.each([
    ['P14 an uncertified one', [['L-1', 'uncertified']]],
    ['P9 one that shows its P-384 key only', [['H-3', 'certified']]],
    ['P9 one that shows the RSA key of the high range only', [['H-1', 'certified']]],
    [
      'one with a key that is not certified',
      [
        ['L-1', 'certified'],
        ['H-3', 'uncertified'],
      ],
    ],
  ] as const)('lets wait %s', async (_name, keys) => {
    expect(await admissionWith().decide(await enrolmentWith(keys), undefined)).toEqual(waiting);
  });

  test('P14 is the only one that does: being certified admits nobody elsewhere', async () => {
    const enrolment = await enrolmentWith([['L-1', 'certified']]);
    expect(await admissionWith({ open: false }).decide(enrolment, undefined)).toEqual(waiting);
  });

  test('comes after the token, and the token after the list', async () => {
    const enrolment = await enrolmentWith([['L-1', 'certified']], 'ab');
    expect(await admissionWith().decide(enrolment, undefined)).toEqual({
      status: 'enrolled',
      admission: 'token',
      channel: 'edge',
      tokenSha256: 'ab',
    });
    expect(await admissionWith({ listed: true }).decide(enrolment, undefined)).toEqual({
      status: 'enrolled',
      admission: 'listed',
      channel: 'racks',
    });
  });
});
