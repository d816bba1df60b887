import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../temporary-folder.ts';

const UNITS = 'packaging/systemd';
const UNIT = join(UNITS, 'boot-signer.service');
const EXPOSURE = /Overall exposure level[^:]*: ([0-9.]+)/;

it('has a unit that systemd calls well confined', () => {
  const { stdout, stderr } = spawnSync('systemd-analyze', ['security', '--offline=true', UNIT], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(Number(EXPOSURE.exec(stdout)?.[1])).toBeLessThanOrEqual(2);
});

it('stays so with what PKCS#11 needs', async () => {
  const folder = await temporaryFolder();
  mkdirSync(join(folder, 'etc/systemd/system/boot-signer.service.d'), { recursive: true });
  copyFileSync(UNIT, join(folder, 'etc/systemd/system/boot-signer.service'));
  copyFileSync(
    join(UNITS, 'boot-signer-pkcs11.conf'),
    join(folder, 'etc/systemd/system/boot-signer.service.d/pkcs11.conf'),
  );
  const args = ['security', '--offline=true', `--root=${folder}`, 'boot-signer.service'];
  const stdout = execFileSync('systemd-analyze', args, { encoding: 'utf8' });
  expect(Number(EXPOSURE.exec(stdout)?.[1])).toBeLessThanOrEqual(2);
});

it('never starts again by itself after a secret was wrong', () => {
  expect(readFileSync(UNIT, 'utf8')).toMatch(/^RestartPreventExitStatus=78$/m);
});
