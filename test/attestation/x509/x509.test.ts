import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/attestation/x509/x509.ts';
import { asciiBytes, concatBytes, fromHex } from '../../../src/core/bytes.ts';
import {
  type Authority,
  createAuthority,
  issueEk,
  NOT_AFTER,
  NOT_BEFORE,
  rawExtension,
} from '../../../src/fleet-sim/chip/manufacturer.ts';
import { createEk } from '../endorsement/certificate-maker.ts';

const INVALID = expect.objectContaining({ code: 'der-invalid' });
let root: Authority;

beforeAll(async () => {
  root = await createAuthority('Root');
});

const pemOf = (der: Uint8Array) =>
  `\n-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;

function withTime(written: string, instead: string): Uint8Array {
  const altered = Buffer.from(root.certificate);
  altered.write(instead, altered.indexOf(written), 'latin1');
  return altered;
}

describe('a certificate', () => {
  it('has its times', () => {
    expect(parseCertificate(root.certificate)).toMatchObject({
      notBeforeMs: NOT_BEFORE.getTime(),
      notAfterMs: NOT_AFTER.getTime(),
    });
  });

  it.each([
    ['200101000000Z', '209901000000Z'],
    ['200101000000Z', '200132000000Z'],
    ['200101000000Z', '20010100000 Z'],
    ['400101000000Z', '400101000060Z'],
  ])('E12 with a time that is none is refused each time, whatever memory holds: %s', (written, instead) => {
    // OpenSSL takes such a certificate, and Node then answers with a time that it never set.
    const altered = withTime(written, instead);
    expect(() => new X509Certificate(altered)).not.toThrow();
    for (let round = 0; round < 20; round += 1) expect(() => parseCertificate(altered)).toThrow(INVALID);
  });

  it('E12 that holds another one as PEM is not read as that one', async () => {
    const { publicKey } = await createEk();
    const text = asciiBytes(pemOf(root.certificate));
    const octets = concatBytes(fromHex('0482'), Uint8Array.of(text.length >> 8, text.length & 0xff), text);
    const extra = [rawExtension('1.2.3.4', false, new Uint8Array(octets))];
    const outer = await issueEk(publicKey, root, { extra });
    expect(new X509Certificate(outer).subject, 'what OpenSSL reads').toBe('CN=Root');
    expect(() => parseCertificate(outer)).toThrow(INVALID);
  });
});
