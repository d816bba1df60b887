import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { diffPackagesLocks, formatPackagesLock, parsePackagesLock } from '../../images/packages-lock.ts';

const committed = readFileSync(new URL('../../images/packages.lock', import.meta.url), 'utf8');
const invalid = expect.objectContaining({ code: 'lock-invalid' });
const hash = 'a'.repeat(64);

describe('packages.lock', () => {
  test('the committed one is what the tool would write', () => {
    expect(formatPackagesLock(parsePackagesLock(committed))).toBe(committed);
  });

  test.each([
    ['an empty file', '# nothing\n'],
    ['a short hash', `curl 1.0 amd64 ${hash.slice(1)}\n`],
    ['an architecture that the image has not', `curl 1.0 arm64 ${hash}\n`],
    ['a version that could be an option of apt', `curl -o=x amd64 ${hash}\n`],
    ['a name that could be a path', `../curl 1.0 amd64 ${hash}\n`],
    ['more words', `curl 1.0 amd64 ${hash} x\n`],
    ['a package twice', `curl 1.0 amd64 ${hash}\ncurl 1.1 amd64 ${hash}\n`],
  ])('refuses %s', (_, text) => {
    expect(() => parsePackagesLock(text)).toThrow(invalid);
  });

  test('a difference shows what was and what is, side by side', () => {
    const before = parsePackagesLock(`curl 1.0 amd64 ${hash}\njq 1.6 amd64 ${hash}\n`);
    const after = parsePackagesLock(`curl 1.1 amd64 ${hash}\njq 1.6 amd64 ${hash}\n`);
    expect(diffPackagesLocks(before, after)).toEqual([
      '- curl 1.0 aaaaaaaaaaaaaaaa…',
      '+ curl 1.1 aaaaaaaaaaaaaaaa…',
    ]);
    expect(diffPackagesLocks(before, before)).toEqual([]);
  });
});
