import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createCleanup } from '../../lab/cleanup.ts';
import {
  createSoftwareTpm,
  createTpmManufacturer,
  startTpmForMachine,
  startTpmForTools,
} from '../../lab/software-tpm.ts';

const cleanup = createCleanup();
const folder = cleanup.createFolder('tpm-test');
afterAll(() => cleanup.close());

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

test('a software TPM has the EK certificate of its manufacturer, and ends when it is stopped', async () => {
  const manufacturer = createTpmManufacturer(join(folder, 'manufacturer'));
  const tpm = await createSoftwareTpm(manufacturer, join(folder, 'chip'));
  const running = await startTpmForTools(tpm, folder, cleanup);
  const environment = { ...process.env, TPM2TOOLS_TCTI: running.tcti };
  const certificate = join(folder, 'ek.der');
  execFileSync('tpm2', ['nvread', '-Q', '0x01c00002', '-o', certificate], { env: environment });
  const [root = '', issuer = ''] = manufacturer.caFiles;
  const pem = execFileSync('openssl', ['x509', '-inform', 'DER', '-in', certificate]);
  const chain = ['verify', '-ignore_critical', '-CAfile', root, '-untrusted', issuer];
  expect(execFileSync('openssl', chain, { input: pem }).toString()).toMatch(/OK/);
  expect(execFileSync('tpm2', ['getcap', 'handles-nv-index'], { env: environment }).toString()).toMatch(
    /1C00016/i,
  );
  expect(isAlive(running.pid)).toBe(true);
  await running.stop();
  expect(isAlive(running.pid)).toBe(false);
});

test('the lab’s end takes a TPM that nobody stopped with it, and the folders too', async () => {
  const other = createCleanup();
  const place = other.createFolder('tpm-test');
  const tpm = await createSoftwareTpm(
    createTpmManufacturer(join(folder, 'manufacturer')),
    join(place, 'chip'),
  );
  const running = await startTpmForMachine(tpm, place, other);
  expect(readFileSync(`/proc/${running.pid}/comm`, 'utf8').trim()).toBe('swtpm');
  other.close();
  await running.stop();
  expect(isAlive(running.pid)).toBe(false);
  expect(existsSync(place)).toBe(false);
});
