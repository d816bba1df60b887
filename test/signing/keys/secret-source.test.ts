import { closeSync, openSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSecret } from '../../../src/signing/keys/secret-source.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

async function secretFile(text: string, mode = 0o600): Promise<string> {
  const path = join(await temporaryFolder(), 'pin');
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

describe('a secret', () => {
  it.each(['1234', '1234\n', '1234\r\nrest', '1234\n\n'])('is the first line of a file: %j', async (text) => {
    expect(await readSecret({ kind: 'file', path: await secretFile(text) })).toBe('1234');
  });

  it('comes from an open descriptor, once', async () => {
    const fd = openSync(await secretFile('1234\n'), 'r');
    expect(await readSecret({ kind: 'descriptor', fd })).toBe('1234');
    await expect(readSecret({ kind: 'descriptor', fd })).rejects.toMatchObject({ code: 'secret-invalid' });
    closeSync(fd);
  });

  it('comes from a credential of systemd', async () => {
    const path = await secretFile('1234', 0o440);
    const source = { kind: 'credential', name: 'pin' } as const;
    expect(await readSecret(source, { CREDENTIALS_DIRECTORY: join(path, '..') })).toBe('1234');
    await expect(readSecret(source, {})).rejects.toMatchObject({
      code: 'secret-missing',
      message: expect.stringContaining('LoadCredential=pin:'),
    });
  });

  it.each(['../pin', '', '.', 'a/b', 'ü'])('has no credential called %j', async (name) => {
    const environment = { CREDENTIALS_DIRECTORY: '/etc' };
    const reading = readSecret({ kind: 'credential', name }, environment);
    await expect(reading).rejects.toMatchObject({ code: 'secret-invalid' });
  });

  it.each([0o644, 0o660, 0o604])(
    'is not read from a file that others can read or write: %o',
    async (mode) => {
      const reading = readSecret({ kind: 'file', path: await secretFile('1234', mode) });
      await expect(reading).rejects.toMatchObject({
        code: 'secret-exposed',
        message: expect.not.stringContaining('1234'),
      });
    },
  );

  it.each([
    ['empty', ''],
    ['an empty line', '\n1234'],
    ['too long', '1'.repeat(4097)],
  ])('is refused: %s', async (_, text) => {
    const reading = readSecret({ kind: 'file', path: await secretFile(text) });
    await expect(reading).rejects.toMatchObject({ code: 'secret-invalid' });
  });

  it('that is not there is an error that says where', async () => {
    const reading = readSecret({ kind: 'file', path: '/nowhere/pin' });
    await expect(reading).rejects.toMatchObject({
      code: 'secret-missing',
      message: '/nowhere/pin cannot be read',
    });
    await expect(readSecret({ kind: 'descriptor', fd: 1234 })).rejects.toMatchObject({
      code: 'secret-missing',
    });
  });
});
