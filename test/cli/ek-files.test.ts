import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEkFile } from '../../src/cli/boot-admin/ek-files.ts';

let folder: string;
let pem: string;
let fingerprint: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootward-ek-'));
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', join(folder, 'key.pem')];
  const subject = ['-subj', '/CN=ek', '-out', join(folder, 'ek.pem')];
  execFileSync('openssl', ['req', '-x509', '-config', '/dev/null', '-batch', ...key, ...subject], {
    stdio: 'ignore',
  });
  pem = execFileSync('openssl', ['x509', '-in', join(folder, 'ek.pem')], { encoding: 'utf8' });
  const command = `openssl x509 -in ${join(folder, 'ek.pem')} -noout -pubkey | openssl pkey -pubin -outform der | sha256sum`;
  fingerprint = execFileSync('sh', ['-c', command], { encoding: 'utf8' }).slice(0, 64);
});

afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(contents: string | Uint8Array): string {
  const file = join(folder, 'input');
  writeFileSync(file, contents);
  return file;
}

test('a certificate in PEM and in DER gives the fingerprint that openssl gives', async () => {
  const der = execFileSync('openssl', ['x509', '-in', join(folder, 'ek.pem'), '-outform', 'DER']);
  for (const contents of [pem, der])
    expect(await readEkFile(fileWith(contents))).toEqual([{ fingerprint, comment: 'input' }]);
});

test('several certificates in one file are several keys', async () => {
  expect(await readEkFile(fileWith(`first\n${pem}second\n${pem}`))).toHaveLength(2);
});

test.each([...'0123456789abcdef'])(
  'a list may start with a fingerprint that starts with %s',
  async (digit) => {
    const listed = digit.repeat(64);
    const text = `${listed} rack 4\n\n# a remark\n${fingerprint}\n`;
    expect(await readEkFile(fileWith(text))).toEqual([
      { fingerprint: listed, comment: 'rack 4' },
      { fingerprint, comment: '' },
    ]);
  },
);

test.each([
  ['upper-case digits', 'A'.repeat(64)],
  ['a digit too few', 'a'.repeat(63)],
  ['a control character in the comment', `${'a'.repeat(64)} x\u001b[31m`],
])('a line with %s is refused by its number', async (_, line) => {
  await expect(readEkFile(fileWith(`# list\n${line}\n`))).rejects.toThrow(/line 2/);
});

test('a broken certificate is refused by its file', async () => {
  await expect(readEkFile(fileWith(Uint8Array.of(0x30, 0x82, 0x01)))).rejects.toThrow(/not a certificate/);
});
