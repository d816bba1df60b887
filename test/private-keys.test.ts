import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseEncryptedKey } from '../src/signing/keys/encrypted-key.ts';

const ROOT = join(import.meta.dirname, '..');
const MAX_BYTES = 4 * 1024 * 1024;
const PEM = /-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----[A-Za-z0-9+/=\\\s:,-]{40,}?-----END \1-----/g;

/** Every file that git has or would take: a key that is about to be committed counts, too. */
function filesOfTheTree(): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const listed = execFileSync('git', args, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 }).toString();
  return listed.split('\0').filter((name) => name !== '' && isReadable(join(ROOT, name)));
}

function isReadable(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() === true && stats.size <= MAX_BYTES;
}

/** PKCS#8 or SEC 1 in DER, or a key file of ours. */
function isPrivateKey(bytes: Buffer): boolean {
  return (
    [
      () => createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' }),
      () => parseEncryptedKey(bytes),
    ].some(succeeds) || (bytes.toString('latin1').match(PEM) ?? []).length > 0
  );
}

function succeeds(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}

describe('the tree', () => {
  test('holds no private key', () => {
    const files = filesOfTheTree();
    expect(files.length).toBeGreaterThan(300);
    expect(files.filter((name) => isPrivateKey(readFileSync(join(ROOT, name))))).toEqual([]);
  });

  test('would be found to hold one', () => {
    const pem = ['-----BEGIN PRIVATE KEY-----', 'A'.repeat(64), '-----END PRIVATE KEY-----'].join('\n');
    expect(isPrivateKey(Buffer.from(`text before\n${pem}\n`))).toBe(true);
    expect(isPrivateKey(Buffer.from(pem.replaceAll('PRIVATE', 'PUBLIC')))).toBe(false);
  });
});
