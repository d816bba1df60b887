import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { runBootSign } from '../../src/cli/boot-sign/program.ts';
import { describeUnknownError } from '../../src/core/unknown-error.ts';

const ERROR = new TypeError('no such\n\u001b[2Jthing');

it('an error that nobody foresaw is one line that says how to learn more', () => {
  const line = describeUnknownError(ERROR, {});
  expect(line).toMatch(/^no such.*thing \(BOOTWARD_DEBUG=1 shows where\)$/);
  expect(line).not.toContain('\u001b');
  expect(describeUnknownError('thrown text', { BOOTWARD_DEBUG: '0' })).toMatch(/^thrown text \(/);
});

it('its stack is shown to whoever asks for it', () => {
  const stack = describeUnknownError(ERROR, { BOOTWARD_DEBUG: '1' });
  expect(stack).toMatch(/\n {4}at .*unknown-error\.test/);
  expect(stack).not.toContain('\u001b');
});

it.each<[NodeJS.ProcessEnv, RegExp]>([
  [{}, /^boot-sign: the clock broke \(BOOTWARD_DEBUG=1 shows where\) \(internal\)\n$/],
  [{ BOOTWARD_DEBUG: '1' }, /^boot-sign: TypeError: the clock broke\n {4}at [\s\S]*\(internal\)\n$/],
])('boot-sign says so with %j', async (environment, expected) => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const clock = {
    nowMs: () => {
      throw new TypeError('the clock broke');
    },
  };
  const status = await runBootSign(['pending', 'list', '.'], { stdout, stderr, clock, environment });
  expect([status, String(stderr.read())]).toEqual([70, expect.stringMatching(expected)]);
});
