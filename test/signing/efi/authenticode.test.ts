import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { toHex } from '../../../src/core/bytes.ts';
import { authenticodeSha256 } from '../../../src/signing/efi/authenticode.ts';
import { createThrowawaySigner } from './throwaway-signer.ts';
import { buildTinyPe, TINY_PE } from './tiny-pe.ts';

const signer = createThrowawaySigner();
afterAll(() => signer.remove());

const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';

/** The digest that an independent tool signs, as it prints it. */
function signedDigest(image: Uint8Array, name: string): { digest: string; signed: Buffer } {
  const [input, output] = [join(signer.folder, `${name}.efi`), join(signer.folder, `${name}-signed.efi`)];
  writeFileSync(input, image);
  const key = ['-certs', signer.certificateFile, '-key', signer.keyFile];
  execFileSync('osslsigncode', ['sign', '-h', 'sha256', ...key, '-in', input, '-out', output], {
    stdio: 'ignore',
  });
  const report = execFileSync('osslsigncode', [
    'verify',
    '-CAfile',
    signer.certificateFile,
    '-in',
    output,
  ]).toString();
  const digest = /Current message digest\s*: ([0-9A-F]{64})/.exec(report)?.[1] ?? 'no digest in the report';
  return { digest: digest.toLowerCase(), signed: readFileSync(output) };
}

describe('authenticodeSha256', () => {
  test('equals the digest that osslsigncode signs, before and after signing', () => {
    const { digest, signed } = signedDigest(buildTinyPe(), 'tiny');
    expect(toHex(authenticodeSha256(buildTinyPe()))).toBe(digest);
    expect(toHex(authenticodeSha256(signed))).toBe(digest);
  });

  test('covers data behind the last section, as osslsigncode does', () => {
    const image = Buffer.concat([buildTinyPe(), Buffer.alloc(16, 3)]);
    expect(toHex(authenticodeSha256(image))).toBe(signedDigest(image, 'trailing').digest);
    expect(authenticodeSha256(image)).not.toEqual(authenticodeSha256(buildTinyPe()));
  });

  test.skipIf(!existsSync(STUB))('equals osslsigncode on the systemd stub', () => {
    const stub = readFileSync(STUB);
    const image = Buffer.concat([stub, Buffer.alloc(-stub.length & 7)]);
    expect(toHex(authenticodeSha256(image))).toBe(signedDigest(image, 'stub').digest);
  });

  test('ignores the checksum and the certificate entry, and nothing else', () => {
    const digest = authenticodeSha256(buildTinyPe());
    for (const [offset, same] of [
      [TINY_PE.checkSum, true],
      [TINY_PE.checkSum - 5, false],
      [TINY_PE.checkSum + 4, false],
      [TINY_PE.certificateEntry + 8, false],
      [2500, false],
    ] as const) {
      const image = buildTinyPe();
      image[offset] = 0x55;
      expect(Buffer.from(authenticodeSha256(image)).equals(digest)).toBe(same);
    }
  });

  test('refuses images that signers and firmware would hash differently', () => {
    const gap = buildTinyPe();
    const moved = Buffer.concat([gap.subarray(0, 2048), Buffer.alloc(512), gap.subarray(2048)]);
    moved.writeUInt32LE(2560, TINY_PE.sectionTable + 40 + 20);
    const layout = expect.objectContaining({ code: 'pe-layout' });
    expect(() => authenticodeSha256(moved)).toThrow(layout);
    expect(() => authenticodeSha256(Buffer.concat([gap, Buffer.alloc(5)]))).toThrow(layout);
  });
});
