import { describe, expect, it } from 'vitest';
import {
  type EntrySource,
  type Lock,
  readArchive,
  writeArchive,
} from '../../../src/boot-server/backup/archive.ts';
import { newEncryption } from '../../../src/boot-server/backup/encryption.ts';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { referenceOf } from '../../../src/signing/artifact.ts';

const LOCK: Lock = { passphrase: 'correct horse', encryption: newEncryption(12) };
const FILES: Readonly<Record<string, Uint8Array>> = {
  'state.db': Buffer.alloc(3 * 1024 * 1024 + 17, 'database '),
  'served-floor.json': asciiBytes('{}'),
  'tpm-vendors/empty.crt': new Uint8Array(),
};

async function* entriesOf(files: Readonly<Record<string, Uint8Array>>): AsyncGenerator<EntrySource> {
  for (const [path, bytes] of Object.entries(files))
    yield {
      path,
      ...referenceOf(bytes),
      async *open() {
        yield bytes;
      },
    };
}

async function write(lock?: Lock, files = FILES): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeArchive(entriesOf(files), lock)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** In pieces that fit nothing. */
async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_003) yield bytes.subarray(at, at + 100_003);
}

async function read(bytes: Buffer, passphrase = LOCK.passphrase): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  await readArchive(inPieces(bytes), {
    passphrase: async () => passphrase,
    async take({ path }, source) {
      const chunks: Buffer[] = [];
      for await (const chunk of source) chunks.push(chunk);
      files[path] = Buffer.concat(chunks);
    },
  });
  return files;
}

const refused = (bytes: Buffer, code: string) => expect(read(bytes)).rejects.toMatchObject({ code });

describe.each([
  ['plain', undefined],
  ['encrypted', LOCK],
])('a %s archive', (_, lock) => {
  it('gives back what was put in', async () => {
    const files = await read(await write(lock));
    expect(Object.keys(files)).toEqual(Object.keys(FILES));
    for (const [path, bytes] of Object.entries(FILES))
      expect(Buffer.compare(files[path] ?? Buffer.of(1), bytes)).toBe(0);
  });

  it('may be empty', async () => {
    expect(await read(await write(lock, {}))).toEqual({});
  });

  it('that is cut short anywhere is refused', async () => {
    const bytes = await write(lock);
    const { length } = bytes;
    const places = [length - 1, length - 2, length - 17, length - 200, 2 * 1024 * 1024, 1000, 300];
    for (const place of places)
      await expect(read(bytes.subarray(0, place)), String(place)).rejects.toMatchObject({
        code: expect.stringMatching(/^(?:backup-damaged|backup-invalid|passphrase-wrong)$/),
      });
    const header = bytes.indexOf('\n');
    await expect(read(bytes.subarray(0, header - 1))).rejects.toMatchObject({ code: 'backup-invalid' });
  });

  it('with any bit altered, or something behind it, is refused', async () => {
    const bytes = await write(lock);
    for (const place of [2, 30, 400, 100_000, 2_500_000, bytes.length - 3]) {
      const altered = Buffer.from(bytes);
      altered[place] = (altered[place] ?? 0) ^ 1;
      await expect(read(altered), String(place)).rejects.toMatchObject({ code: expect.any(String) });
    }
    await refused(Buffer.concat([bytes, Buffer.from('\n')]), 'backup-damaged');
  });
});

describe('an encrypted archive', () => {
  it('does not open with another passphrase', async () => {
    await expect(read(await write(LOCK), 'another')).rejects.toMatchObject({ code: 'passphrase-wrong' });
  });

  it('shows nothing of what it holds', async () => {
    const bytes = await write(LOCK);
    expect(bytes.includes('state.db')).toBe(false);
    expect(bytes.includes('database ')).toBe(false);
  });

  it('is refused with its chunks in another order, or one left out', async () => {
    const bytes = await write(LOCK);
    const start = bytes.indexOf('\n') + 1;
    const sealed = 1024 * 1024 + 16;
    const chunk = (index: number) => bytes.subarray(start + index * sealed, start + (index + 1) * sealed);
    const header = bytes.subarray(0, start);
    await refused(Buffer.concat([header, chunk(0), chunk(2), chunk(1), chunk(3)]), 'backup-damaged');
    await refused(Buffer.concat([header, chunk(0), chunk(1), chunk(3)]), 'backup-damaged');
    await refused(Buffer.concat([header, chunk(0), chunk(1), chunk(2)]), 'backup-damaged');
  });

  it('is not believed to be plain', async () => {
    const bytes = await write(LOCK);
    const end = bytes.indexOf('\n');
    const header = Buffer.from('{"format":"bootward-backup-v1","encryption":null}');
    await refused(Buffer.concat([header, bytes.subarray(end)]), 'backup-damaged');
  });
});

describe('what an archive may say', () => {
  const withPath = async (path: string) => {
    const bytes = (await write(undefined, { 'state.db': asciiBytes('x') })).toString('latin1');
    return Buffer.from(bytes.replace('"state.db"', JSON.stringify(path)), 'latin1');
  };

  it.each([
    '../state.db',
    '/etc/passwd',
    'tls/../grant.key',
    'tls/other.key',
    'tpm-vendors/.x',
    'artifacts/a/b',
    '',
  ])('D5 is no path such as %j', async (path) => {
    await refused(await withPath(path), 'backup-damaged');
  });

  it.each([
    ['{"format":"bootward-backup-v2","encryption":null}'],
    ['{"format":"bootward-backup-v1"}'],
    ['{"format":"bootward-backup-v1","encryption":null,"more":1}'],
    ['{"format":"bootward-backup-v1","encryption":{"kdf":{"name":"none"},"cipher":"aes-256-gcm"}}'],
    [
      '{"format":"bootward-backup-v1","encryption":{"kdf":{"name":"scrypt","logN":30,"r":8,"p":1,"salt":"AAAA"}}}',
    ],
    ['SQLite format 3'],
  ])('is no header such as %s', async (header) => {
    await refused(Buffer.from(`${header}\n`), 'backup-invalid');
  });
});
