import { describe, expect, it } from 'vitest';
import { verifyEkCertificate } from '../../../src/attestation/endorsement/ek-certificate.ts';
import { verifyManufacturer } from '../../../src/attestation/endorsement/ek-manufacturer.ts';
import { parseTrustAnchors } from '../../../src/attestation/endorsement/trust-anchors.ts';
import { createAuthority, issueEk, TPM_NAME } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { createEk, NOW_MS } from './certificate-maker.ts';

const STM = 0x53544d20;
const IBM = 0x49424d00;
const MISMATCH = expect.objectContaining({ code: 'ek-manufacturer-mismatch' });

describe('the manufacturer in an EK certificate', () => {
  it('E3 is the one that the TPM reports', () => {
    expect(() => verifyManufacturer(STM, { manufacturer: 'id:53544D20' })).not.toThrow();
    expect(() => verifyManufacturer(STM, { manufacturer: 'id:53544d20' })).not.toThrow();
    expect(() => verifyManufacturer(0xfffff1d0, { manufacturer: 'id:FFFFF1D0' })).not.toThrow();
  });

  it.each(['id:49465800', 'id:53544D00', '53544D20', 'STM ', 'id:53544D20 ', 'id:', ''])(
    'E3 is refused as %j when the TPM says STM',
    (manufacturer) => {
      expect(() => verifyManufacturer(STM, { manufacturer })).toThrow(MISMATCH);
    },
  );

  it('E3 of software TPMs is the number that swtpm writes for IBM', () => {
    expect(() => verifyManufacturer(IBM, { manufacturer: 'id:00001014' })).not.toThrow();
    expect(() => verifyManufacturer(0x00001014, { manufacturer: 'id:00001014' })).toThrow(MISMATCH);
  });

  it('that is not named compares with nothing', () => {
    expect(() => verifyManufacturer(STM, {})).not.toThrow();
  });

  it.each([
    ['one name after the other', TPM_NAME],
    ['all in one set', TPM_NAME.replaceAll(', ', '+')],
  ])('E3 is read in both layouts: %s', async (_layout, directoryName) => {
    const root = await createAuthority('Root');
    const { publicKey, ekPublic } = await createEk();
    const ek = verifyEkCertificate({
      certificate: await issueEk(publicKey, root, { directoryName }),
      ekPublic,
      anchors: parseTrustAnchors(root.certificate),
      nowMs: NOW_MS,
    });
    expect(ek).toMatchObject({ manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' });
    expect(() => verifyManufacturer(IBM, ek)).not.toThrow();
    expect(() => verifyManufacturer(STM, ek)).toThrow(MISMATCH);
  });
});
