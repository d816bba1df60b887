import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { authenticodeSha256 } from '../../../src/signing/efi/authenticode.ts';
import { readSignatures, writeSignatures } from '../../../src/signing/efi/certificate-table.ts';
import { parsePe } from '../../../src/signing/efi/pe.ts';
import { signEfi, verifyEfi } from '../../../src/signing/efi/sign-efi.ts';
import { createThrowawaySigner, type ThrowawaySigner } from './throwaway-signer.ts';
import { buildTinyPe, TINY_PE } from './tiny-pe.ts';

const db = createThrowawaySigner();
const other = createThrowawaySigner(3072);
afterAll(() => {
  db.remove();
  other.remove();
});

const has = (tool: string) => spawnSync(tool, ['--version']).error === undefined;
const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';
const epochSeconds = Math.floor(Date.now() / 1000) + 3600;
const failed = expect.objectContaining({ code: 'efi-signing-failed' });
const invalid = expect.objectContaining({ code: 'efi-signature-invalid' });
const otherImage = expect.objectContaining({ code: 'efi-signature-other-image' });

function sign(by: ThrowawaySigner, image: Uint8Array, over: Partial<Parameters<typeof signEfi>[0]> = {}) {
  return signEfi({ image, signer: by.signer, certificate: by.certificate, epochSeconds, ...over });
}

function osslsigncode(by: ThrowawaySigner, image: Uint8Array, time: number): Buffer {
  const [input, output] = [join(by.folder, 'theirs.efi'), join(by.folder, `theirs-${Math.random()}.efi`)];
  writeFileSync(input, image);
  const key = ['-certs', by.certificateFile, '-key', by.keyFile];
  const args = ['sign', '-h', 'sha256', '-time', String(time), ...key, '-in', input, '-out', output];
  execFileSync('osslsigncode', args, { stdio: 'ignore' });
  return readFileSync(output);
}

function sbverify(by: ThrowawaySigner, image: Uint8Array): number | null {
  const file = join(by.folder, 'verified.efi');
  writeFileSync(file, image);
  return spawnSync('sbverify', ['--cert', by.certificateFile, file], { stdio: 'ignore' }).status;
}

function anotherImage(): Buffer {
  const image = buildTinyPe();
  image[TINY_PE.headerBytes] = 0x55;
  return image;
}

/** The signatures of one image behind another. */
function moved(from: Uint8Array, to: Uint8Array): Uint8Array {
  return writeSignatures(to, readSignatures(parsePe(from)));
}

describe('signEfi', () => {
  test('gives the same bytes twice, and asks the signer once', async () => {
    let asked = 0;
    const signer = {
      ...db.signer,
      sign: (message: Uint8Array) => {
        asked++;
        return db.signer.sign(message);
      },
    };
    const image = await sign(db, buildTinyPe(), { signer });
    expect(asked).toBe(1);
    expect(await sign(db, buildTinyPe())).toEqual(image);
    expect(authenticodeSha256(image)).toEqual(authenticodeSha256(buildTinyPe()));
    expect(verifyEfi(image, db.certificate)).toEqual({
      signedAt: new Date(epochSeconds * 1000),
      signatures: 1,
    });
  });

  test.skipIf(!has('osslsigncode'))('writes byte for byte what osslsigncode writes', async () => {
    const trailing = Buffer.concat([buildTinyPe(), Buffer.alloc(16, 3)]);
    for (const [by, image] of [
      [db, buildTinyPe()],
      [db, trailing],
      [other, anotherImage()],
    ] as const)
      expect(osslsigncode(by, image, epochSeconds).equals(await sign(by, image))).toBe(true);
  });

  test.skipIf(!has('osslsigncode') || !existsSync(STUB))('does so with a systemd stub', async () => {
    const stub = readFileSync(STUB);
    const image = Buffer.concat([stub, Buffer.alloc(-stub.length & 7)]);
    expect(osslsigncode(db, image, epochSeconds).equals(await sign(db, image))).toBe(true);
  });

  test.skipIf(!has('sbverify'))('writes what sbverify accepts, with RSA-2048 and RSA-3072', async () => {
    for (const by of [db, other]) expect(sbverify(by, await sign(by, buildTinyPe()))).toBe(0);
    expect(sbverify(db, await sign(other, buildTinyPe()))).not.toBe(0);
  });

  test('replaces the signatures that are there', async () => {
    const twice = await sign(db, await sign(other, buildTinyPe()));
    expect(twice).toEqual(await sign(db, buildTinyPe()));
  });

  test('keeps those of others when told, and replaces its own', async () => {
    const first = await sign(db, await sign(other, buildTinyPe()), { others: 'keep' });
    const second = await sign(db, first, { others: 'keep', epochSeconds: epochSeconds + 1 });
    expect(verifyEfi(second, db.certificate)).toEqual({
      signedAt: new Date((epochSeconds + 1) * 1000),
      signatures: 2,
    });
    verifyEfi(second, other.certificate);
    if (has('sbverify')) expect([sbverify(db, second), sbverify(other, second)]).toEqual([0, 0]);
  });

  test('refuses a signing time outside the certificate’s validity, which Linux would refuse', async () => {
    await expect(sign(db, buildTinyPe(), { epochSeconds: 1_000_000_000 })).rejects.toThrow(
      /not within the certificate's validity/,
    );
  });

  test('refuses a certificate that is not the key’s', async () => {
    await expect(sign(db, buildTinyPe(), { certificate: other.certificate })).rejects.toEqual(failed);
  });

  test('refuses what a store with a wrong key behind the right name signs', async () => {
    const signer = { publicKey: db.signer.publicKey, sign: other.signer.sign };
    await expect(sign(db, buildTinyPe(), { signer })).rejects.toEqual(invalid);
  });

  test('refuses what is not an image', async () => {
    await expect(sign(db, Buffer.from('not an image'))).rejects.toThrow(/not a valid PE image/);
  });
});

describe('verifyEfi', () => {
  test('S20 refuses a signature over another image, ours or not, also when it is to be kept', async () => {
    const signed = await sign(db, anotherImage());
    expect(() => verifyEfi(moved(signed, buildTinyPe()), db.certificate)).toThrow(otherImage);
    const foreign = moved(await sign(other, anotherImage()), buildTinyPe());
    await expect(sign(db, foreign, { others: 'keep' })).rejects.toEqual(otherImage);
    verifyEfi(await sign(db, foreign), db.certificate);
    if (has('sbverify')) expect(sbverify(db, moved(signed, buildTinyPe()))).not.toBe(0);
  });

  test('S20 refuses an image of which one bit was changed after signing', async () => {
    const image = await sign(db, buildTinyPe());
    for (const offset of [TINY_PE.checkSum - 5, TINY_PE.headerBytes, 2500]) {
      const changed = Buffer.from(image);
      changed.writeUInt8((changed[offset] ?? 0) ^ 1, offset);
      expect(() => verifyEfi(changed, db.certificate)).toThrow(otherImage);
    }
  });

  test('refuses an image that is not signed, or by another key only', async () => {
    expect(() => verifyEfi(buildTinyPe(), db.certificate)).toThrow(invalid);
    const image = await sign(other, buildTinyPe());
    expect(() => verifyEfi(image, db.certificate)).toThrow(invalid);
  });

  test('S20 accepts no signature of which a bit was changed, wherever it is', async () => {
    const [signature = Buffer.alloc(0)] = readSignatures(parsePe(await sign(db, buildTinyPe())));
    const refused = expect.objectContaining({ code: expect.stringMatching(/^(efi-signature|pe-)/) });
    const certificate = Buffer.from(signature).indexOf(db.certificate.raw);
    const isWithin = (offset: number) =>
      offset >= certificate && offset < certificate + db.certificate.raw.length;
    for (let offset = 0; offset < signature.length; offset += isWithin(offset) ? 32 : 1) {
      const changed = Buffer.from(signature);
      changed.writeUInt8((changed[offset] ?? 0) ^ 1, offset);
      const image = writeSignatures(buildTinyPe(), [changed]);
      expect(() => verifyEfi(image, db.certificate), `byte ${offset}`).toThrow(refused);
    }
  });

  test.skipIf(!has('sbsign'))('accepts what sbsign writes', () => {
    const [input, output] = [join(db.folder, 'plain.efi'), join(db.folder, 'sbsign.efi')];
    writeFileSync(input, buildTinyPe());
    const key = ['--key', db.keyFile, '--cert', db.certificateFile];
    execFileSync('sbsign', [...key, '--output', output, input], { stdio: 'ignore' });
    expect(verifyEfi(readFileSync(output), db.certificate).signatures).toBe(1);
  });

  test('refuses a certificate table that is cut, of another type or hides bytes', async () => {
    const image = Buffer.from(await sign(db, buildTinyPe()));
    const table = parsePe(image).certificateTable?.offset ?? 0;
    const malformed = expect.objectContaining({ code: 'pe-malformed' });
    for (const change of [
      (bytes: Buffer) => bytes.writeUInt16LE(0x0100, table + 4),
      (bytes: Buffer) => bytes.writeUInt16LE(0x0001, table + 6),
      (bytes: Buffer) => bytes.writeUInt32LE(8, table),
      (bytes: Buffer) => bytes.writeUInt32LE(bytes.length, table),
      (bytes: Buffer) => bytes.writeUInt16BE(bytes.readUInt16BE(table + 10) - 8, table + 10),
      (bytes: Buffer) => bytes.writeUInt16BE(bytes.readUInt16BE(table + 10) + 8, table + 10),
      (bytes: Buffer) => bytes.writeUInt8(0x31, table + 8),
    ]) {
      const changed = Buffer.from(image);
      change(changed);
      expect(() => verifyEfi(changed, db.certificate)).toThrow(malformed);
    }
    const entry = Buffer.from(image.subarray(table));
    const doubled = Buffer.concat([image, entry.subarray(0, 4)]);
    doubled.writeUInt32LE(entry.length + 4, TINY_PE.certificateEntry + 4);
    expect(() => readSignatures(parsePe(doubled))).toThrow(malformed);
  });
});
