import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openScriptedLab, type ScriptedLab, ZERO } from './scripted-lab.ts';

const INSTALL = fileURLToPath(new URL('../../agent/install', import.meta.url));

let lab: ScriptedLab;
let tree: string;
beforeAll(async () => {
  lab = await openScriptedLab();
  tree = join(lab.folder, 'tree');
});
beforeEach(() => {
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree);
});
afterAll(() => lab.close());

function install(shell: string, ...words: string[]): void {
  const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DESTDIR: tree };
  execFileSync(shell, [INSTALL, ...words], { env: environment, stdio: 'pipe' });
}

/** With the CA and the root that the lab's own settings have. */
function settings(url: string): string[] {
  const etc = (name: string) => join(lab.folder, 'etc', name);
  return ['--server-url', url, '--server-ca', etc('server-ca.pem'), '--tuf-root', etc('root.json')];
}

const serverUrl = (): string =>
  /^server_url=(.*)$/m.exec(readFileSync(join(lab.folder, 'etc/agent.conf'), 'utf8'))?.[1] ?? '';

describe('agent/install', () => {
  it.each(['/bin/dash', '/bin/bash'])('makes a tree whose agent attests, by %s', async (shell) => {
    const run = await lab.run({
      command: ['attest', '--purpose', 'reattest'],
      bake: () => {
        install(shell, ...settings(serverUrl()));
        execFileSync('sh', ['-c', `echo stage0_build=1 >>${tree}/etc/bootward/agent.conf`]);
      },
      installed: { program: join(tree, 'usr/sbin/bootward-agent'), etc: join(tree, 'etc/bootward') },
    });
    expect(run, run.console).toMatchObject({ status: 0, pcr14: ZERO });
    expect(run.stdout).toMatch(/^accepted: reattest/);
  });

  it('installs programs, units and settings, and nothing of stage-0', () => {
    install('/bin/dash', ...settings('https://boot.example:8444'));
    const files = readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter(
      (path) => !statSync(join(tree, path)).isDirectory(),
    );
    const libraries = readdirSync(join(INSTALL, '../lib')).map((name) => `usr/lib/bootward/lib/${name}`);
    expect(files.sort()).toEqual(
      [
        ...['etc/bootward/agent.conf', 'etc/bootward/root.json', 'etc/bootward/server-ca.pem'],
        ...['usr/lib/bootward/bootward-agent', 'usr/sbin/bootward-agent', ...libraries],
        'usr/lib/systemd/system/bootward-attest.service',
        'usr/lib/systemd/system/bootward-attest.timer',
        'usr/lib/systemd/system/bootward-health.service',
      ].sort(),
    );
    expect(readFileSync(join(tree, 'etc/bootward/agent.conf'), 'utf8')).toMatch(
      /^server_url=https:\/\/boot\.example:8444\nbuilt_at=\d{10}\n$/,
    );
  });

  it('keeps what the machine trusts when the programs are updated', () => {
    install('/bin/dash', ...settings('https://first.example:8444'));
    install('/bin/dash', ...settings('https://second.example:8444'));
    install('/bin/dash');
    expect(readFileSync(join(tree, 'etc/bootward/agent.conf'), 'utf8')).toContain('first.example');
  });

  it.each([[['--server-url', 'https://boot.example:8444']], [['--prefix', '/opt']], [['--server-ca']]])(
    'installs nothing for the words %j',
    (words) => {
      expect(() => install('/bin/dash', ...words)).toThrow();
      expect(readdirSync(tree)).toEqual([]);
    },
  );

  it.each([
    ['attest', 2],
    ['health', 3],
  ])('has a service %s that systemd understands and calls well confined', (name, exposure) => {
    install('/bin/dash');
    const unit = join(tree, `usr/lib/systemd/system/bootward-${name}.service`);
    const { stdout, stderr } = spawnSync('systemd-analyze', ['security', '--offline=true', unit], {
      encoding: 'utf8',
    });
    const [, level = 'none'] = /Overall exposure level[^:]*: ([0-9.]+)/.exec(stdout) ?? [];
    expect(stderr).toBe('');
    expect(Number(level)).toBeLessThanOrEqual(exposure);
  });

  it('is clean by shellcheck', () => {
    execFileSync('shellcheck', [INSTALL], { encoding: 'utf8' });
  });
});
