import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type CpioEntry, writeCpio } from '../../../src/signing/efi/cpio.ts';

const entries: CpioEntry[] = [
  { type: 'file', path: 'usr/bin/tool', mode: 0o755, data: Buffer.from('#!/bin/sh\n') },
  { type: 'symlink', path: 'bin', target: 'usr/bin' },
  { type: 'directory', path: 'tmp', mode: 0o1777 },
  { type: 'file', path: 'empty', mode: 0o600, data: new Uint8Array(0) },
];
const invalid = expect.objectContaining({ code: 'cpio-invalid' });

describe('writeCpio', () => {
  test('writes what cpio lists, parents first', () => {
    const listed = execFileSync('cpio', ['-t', '--quiet'], { input: writeCpio(entries) }).toString();
    expect(listed.trim().split('\n')).toEqual(['bin', 'empty', 'tmp', 'usr', 'usr/bin', 'usr/bin/tool']);
  });

  test('writes what cpio unpacks: contents, modes and links', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bootward-cpio-'));
    try {
      execFileSync('cpio', ['-i', '--quiet', '--no-preserve-owner'], {
        cwd: folder,
        input: writeCpio(entries),
      });
      expect(readFileSync(join(folder, 'bin/tool'), 'utf8')).toBe('#!/bin/sh\n');
      expect(readlinkSync(join(folder, 'bin'))).toBe('usr/bin');
      expect(statSync(join(folder, 'usr/bin/tool')).mode & 0o7777).toBe(0o755);
      expect(statSync(join(folder, 'tmp')).mode & 0o7777).toBe(0o1777);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('gives the same bytes whatever the order of its entries', () => {
    expect(Buffer.from(writeCpio([...entries].reverse())).equals(writeCpio(entries))).toBe(true);
  });

  test('ends on a multiple of 4, so that another archive may follow', () => {
    for (let length = 0; length < 5; length += 1)
      expect(
        writeCpio([{ type: 'file', path: 'f', mode: 0o644, data: Buffer.alloc(length) }]).length % 4,
      ).toBe(0);
  });

  test.each(['/etc/x', '../x', 'a/./b', 'a//b', 'a/', '', 'a\0b', 'TRAILER!!!'])(
    'refuses the path %j',
    (path) => {
      expect(() => writeCpio([{ type: 'directory', path, mode: 0o755 }])).toThrow(invalid);
    },
  );

  test('refuses a path twice, a file as a parent, and impossible permissions', () => {
    const file = { type: 'file', path: 'a', mode: 0o644, data: new Uint8Array(0) } as const;
    expect(() => writeCpio([file, file])).toThrow(invalid);
    expect(() => writeCpio([file, { ...file, path: 'a/b' }])).toThrow(invalid);
    expect(() => writeCpio([{ ...file, mode: 0o100644 }])).toThrow(invalid);
  });
});
