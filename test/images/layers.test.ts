import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { composeDemoInitramfs, demoOsLayer } from '../../images/demo-os/layer.ts';
import { agentLayer } from '../../images/stage0/agent-layer.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootward-layers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const agent = join(folder, 'agent');
mkdirSync(join(agent, 'lib'), { recursive: true });
writeFileSync(join(agent, 'bootward-agent'), '#!/bin/sh\n');
writeFileSync(join(agent, 'lib/tpm.sh'), '# a library\n');
writeFileSync(join(agent, 'README.md'), 'for people\n');

test('without an init there is no stage-0', () => {
  expect(() => agentLayer(agent)).toThrow(expect.objectContaining({ code: 'recipe-broken' }));
});

test('what is a program follows from its first line, not from the modes of a working copy', () => {
  writeFileSync(join(agent, 'init'), '#!/bin/sh\n');
  chmodSync(join(agent, 'init'), 0o600);
  chmodSync(join(agent, 'lib/tpm.sh'), 0o777);
  const modes = new Map(
    agentLayer(agent).map((entry) => [entry.path, entry.type === 'file' ? entry.mode : 0]),
  );
  expect(modes.get('init')).toBe(0o755);
  expect(modes.get('usr/lib/bootward/bootward-agent')).toBe(0o755);
  expect(modes.get('usr/lib/bootward/lib/tpm.sh')).toBe(0o644);
  expect([...modes.keys()].some((path) => path.endsWith('.md'))).toBe(false);
});

test('the demo OS has an init of its own and the agent beside it', () => {
  const entries = new Map(demoOsLayer(agent).map((entry) => [entry.path, entry]));
  const init = entries.get('init');
  expect(init?.type === 'file' ? Buffer.from(init.data).toString() : '').toContain('BOOTWARD-DEMO release');
  expect(entries.has('usr/lib/bootward/bootward-agent')).toBe(true);
});

test('a demo release is the built initramfs with its name in front', () => {
  const initramfs = Buffer.from('compressed');
  const config = { 'agent.conf': Buffer.from('x') };
  const composed = composeDemoInitramfs({ initramfs, name: 'release 7', config });
  const front = composed.subarray(0, composed.length - initramfs.length);
  expect(Buffer.from(composed.subarray(front.length)).equals(initramfs)).toBe(true);
  const listed = execFileSync('cpio', ['-t', '--quiet'], { input: front }).toString().trim().split('\n');
  expect(listed).toEqual(['etc', 'etc/bootward', 'etc/bootward-release', 'etc/bootward/agent.conf']);
});
