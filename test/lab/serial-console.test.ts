import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createCleanup } from '../../lab/cleanup.ts';
import { followConsole } from '../../lab/serial-console.ts';

const cleanup = createCleanup();
const folder = cleanup.createFolder('console-test');
afterAll(() => cleanup.close());

function createConsole(name: string) {
  const file = join(folder, name);
  writeFileSync(file, '');
  const console = followConsole(file, name);
  cleanup.onClose(() => console.end());
  return { console, write: (text: string) => appendFileSync(file, text) };
}

test('waitFor finds lines that come, lines that came, and a last line without its end', async () => {
  const { console, write } = createConsole('lines');
  const future = console.waitFor(/^two$/, 5);
  write('one\r\ntwo\r\nlogin: ');
  expect((await future).text).toBe('two');
  expect((await console.waitFor(/^one/, 1)).text).toBe('one');
  expect((await console.waitFor(/login:/, 1)).text).toContain('login:');
  expect(console.lines().map(({ text }) => text)).toEqual(['one', 'two', 'login:']);
});

test('terminal control sequences of the firmware are not part of a line', async () => {
  const { console, write } = createConsole('control');
  write('\u001b[2J\u001b[01;01H\u001b[0mBdsDxe: \u001b[=3hAccess Denied\u0007\n');
  expect((await console.waitFor(/Access/, 5)).text).toBe('BdsDxe: Access Denied');
});

test('waitFor gives up in time, and says what the machine said last', async () => {
  const { console, write } = createConsole('timeout');
  write('the last words\n');
  await console.waitFor(/last words/, 5);
  const late = console.waitFor(/never/, 0.1);
  await expect(late).rejects.toThrow(expect.objectContaining({ code: 'wait-timeout' }));
  await expect(late).rejects.toThrow(/the last words/);
});

test('the end of the machine rejects whoever still waits', async () => {
  const { console } = createConsole('end');
  const waiting = console.waitFor(/never/, 60);
  console.end();
  await expect(waiting).rejects.toThrow(expect.objectContaining({ code: 'machine-failed' }));
  await expect(console.waitFor(/never/, 60)).rejects.toThrow(
    expect.objectContaining({ code: 'machine-failed' }),
  );
});
