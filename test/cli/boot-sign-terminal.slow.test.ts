import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PASSPHRASE, type Run, SigningDesk } from './boot-sign-fixture.ts';

const BOOT_SIGN = join(import.meta.dirname, '../../bin/boot-sign.mjs');
const hasScript = spawnSync('script', ['--version']).error === undefined;

let desk: SigningDesk;

beforeAll(async () => {
  desk = new SigningDesk();
  await desk.init();
});
afterAll(() => desk.close());

/** Runs boot-sign on a terminal of its own, script(1)'s, and types one answer at each prompt. */
function runOnTerminal(args: readonly string[], answers: readonly string[]): Promise<Run> {
  const command = ['node', BOOT_SIGN, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null']);
  const waiting = [...answers];
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
    if (/(?:assphrase[^\n]*|more): $/.test(stdout)) child.stdin.write(waiting.shift() ?? '\x03');
  });
  return new Promise((resolve) => {
    child.once('close', (status) => resolve({ status: status ?? -1, stdout, stderr: '' }));
  });
}

describe.skipIf(!hasScript)('on a terminal', () => {
  it('asks for the passphrase and does not show it', async () => {
    const run = await runOnTerminal(['refresh', desk.repository], [`${PASSPHRASE}\r`]);
    expect(run).toMatchObject({ status: 0, stdout: expect.stringContaining('Passphrase: ') });
    expect(run.stdout).not.toContain(PASSPHRASE);
  });

  it('takes back what was typed wrong', async () => {
    const typed = `${PASSPHRASE}x\x7f\r`;
    expect(await runOnTerminal(['refresh', desk.repository], [typed])).toMatchObject({ status: 0 });
  });

  it.each(['\x03', '\x04'])('ends with usage at %j, nothing done', async (key) => {
    const run = await runOnTerminal(['refresh', desk.repository], [key]);
    expect(run).toMatchObject({ status: 64, stdout: expect.stringContaining('interrupted') });
  });

  it('asks twice for new keys, and makes none when the answers differ', async () => {
    const args = ['init', desk.path('new'), '--grant-key', desk.path('grant.pem'), '--key-cost', '12'];
    expect(await runOnTerminal(args, [`${PASSPHRASE}\r`, 'something else\r'])).toMatchObject({ status: 77 });
    expect(await runOnTerminal(args, [`${PASSPHRASE}\r`, `${PASSPHRASE}\r`])).toMatchObject({ status: 0 });
  });
});
