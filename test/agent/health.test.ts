import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256, toHex } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { problem } from './scripted-enrolment.ts';
import { type Outcome, openScriptedLab, type Scenario, type ScriptedLab, ZERO } from './scripted-lab.ts';

// `bootward-agent health`: what the owner's own checks say, in quoted evidence of purpose health.

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
beforeEach(() => rmSync(join(lab.folder, 'etc'), { recursive: true, force: true }));
afterAll(() => lab.close());

type Hooks = Readonly<Record<string, string>>;

const health = (hooks: Hooks = {}, scenario: Scenario = {}, ...words: string[]): Promise<Outcome> =>
  lab.run({
    command: ['health', ...words],
    ...scenario,
    bake: () => {
      for (const [name, script] of Object.entries(hooks)) writeHook(name, script);
      scenario.bake?.();
    },
  });

function writeHook(name: string, script: string): void {
  const folder = join(lab.folder, 'etc/health.d');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

function claimsOf({ server }: Outcome): JsonObject {
  const claims = String(server.evidence.at(-1)?.claims);
  return JSON.parse(Buffer.from(claims, 'base64').toString()) as JsonObject;
}

function reportOf({ server }: Outcome, which = -1): string | undefined {
  const report = server.evidence.at(which)?.report;
  return report === undefined ? undefined : Buffer.from(String(report), 'base64').toString('latin1');
}

const setting = (line: string) => () => {
  const conf = join(lab.folder, 'etc/agent.conf');
  writeFileSync(conf, `${readFileSync(conf, 'utf8')}${line}\n`);
};

describe('a system without hooks', () => {
  it('is healthy, and has nothing to report', async () => {
    const run = await health();
    expect(run, run.console).toMatchObject({ status: 0, pcr14: ZERO });
    expect(run.stdout).toMatch(/^accepted: health, certified/);
    expect(claimsOf(run)).toMatchObject({ purpose: 'health', health: 'healthy' });
    expect(claimsOf(run)).not.toHaveProperty('reportSha256');
    expect(reportOf(run)).toBeUndefined();
  });
});

describe('hooks', () => {
  it.each(['dash', 'busybox sh'])(
    'run in their order, and their exit status decides, under %s',
    async (shell) => {
      const hooks = { '20-second': 'echo two; exit 3', '10-first': 'echo one', '30-third': 'echo three >&2' };
      const run = await health(hooks, { shell: shell.split(' ') });
      expect(run.status, run.console).toBe(0);
      expect(claimsOf(run).health).toBe('unhealthy');
      expect(reportOf(run)?.split('\n').slice(0, 3)).toEqual([
        expect.stringMatching(/^10-first: exit status 0 after \d+ s$/),
        expect.stringMatching(/^20-second: exit status 3 after \d+ s$/),
        expect.stringMatching(/^30-third: exit status 0 after \d+ s$/),
      ]);
      expect(reportOf(run)).toMatch(
        /--- 20-second\ntwo\n[\s\S]*--- 10-first\none\n[\s\S]*--- 30-third\nthree\n/,
      );
      expect(claimsOf(run).reportSha256).toBe(toHex(sha256(Buffer.from(reportOf(run) ?? '', 'latin1'))));
    },
  );

  it('that do not end are ended, and count as failed', async () => {
    const bake = setting('health_timeout_seconds=1');
    const run = await health({ '10-slow': 'echo started; sleep 60' }, { bake });
    expect(claimsOf(run).health).toBe('unhealthy');
    expect(reportOf(run)).toMatch(/^10-slow: took too long after \d+ s\n--- 10-slow\nstarted\n/);
  });

  it('may leave a process behind that keeps their output open', async () => {
    const run = await health({ '10-daemon': 'sleep 30 & echo left one' });
    expect(run.status, run.console).toBe(0);
    expect(claimsOf(run).health).toBe('healthy');
  });

  it('have 16 KiB of printable text between them, whatever they say', async () => {
    const flood = 'head -c 300000 /dev/zero | tr "\\0" x; printf "\\033[2J\\001\\377"';
    const hooks = Object.fromEntries(Array.from({ length: 6 }, (_, at) => [`${at}-flood`, flood]));
    const run = await health({ ...hooks, '9-escape': 'printf "a\\033[2Jb\\tc\\n"; exit 1' });
    expect(reportOf(run)).toHaveLength(16384);
    expect(reportOf(run)).toMatch(/^[ -~\n]*$/);
    expect(reportOf(run)).toContain('--- 9-escape\na[2Jb c\n');
  });

  it('that are no programs are left alone', async () => {
    const bake = () => {
      mkdirSync(join(lab.folder, 'etc/health.d/folder'), { recursive: true });
      writeFileSync(join(lab.folder, 'etc/health.d/README'), 'exit 1\n', { mode: 0o644 });
    };
    expect(claimsOf(await health({}, { bake })).health).toBe('healthy');
  });

  it('run once, however often the server has to be asked', async () => {
    let refusals = 2;
    const ran = join(lab.folder, 'ran');
    rmSync(ran, { force: true });
    const run = await health(
      { '10-count': `echo x >>${ran}` },
      {
        settings: { retryAttempts: 5 },
        lies: {
          any(_request, response) {
            if (refusals === 0) return false;
            refusals -= 1;
            response.writeHead(503, { 'content-type': 'application/problem+json' });
            response.end('{"code":"not-ready","detail":"starting"}');
            return true;
          },
        },
      },
    );
    expect(run.status, run.console).toBe(0);
    expect(readFileSync(ran, 'utf8')).toBe('x\n');
  });
});

describe('the exit status is that of the other commands', () => {
  it('21: no answer, after the attempts', async () => {
    const run = await health({}, { settings: { serverUrl: 'https://127.0.0.1:1', retryAttempts: 2 } });
    expect(run).toMatchObject({ status: 21, pcr14: ZERO });
    expect(run.marks.filter(({ step }) => step === 'retry')).toHaveLength(2);
    expect(run.stdout).toMatch(/^unreachable: server-unreachable/);
  });

  it('22: held, as JSON', async () => {
    const reasons = [{ code: 'floor-missing', message: 'there is no record' }];
    const verdict = () => problem(403, 'evidence-held', 'an operator has to look', { reasons, notes: [] });
    const run = await health({}, { lies: { verdict } }, '-o', 'json');
    expect(run.status).toBe(22);
    expect(JSON.parse(run.stdout)).toMatchObject({ purpose: 'health', result: 'held', reasons });
  });

  it('20: no settings', async () => {
    const run = await health({}, { bake: setting('health_timeout_seconds=soon') });
    expect(run).toMatchObject({ status: 20, stopCode: 'config-invalid', pcr14: ZERO });
  });

  it.each([[['health', 'now']], [['health', '-o', 'xml']], [['forget-floor', 'now']]])(
    '64: for the words %j',
    async (command) => expect((await lab.run({ command })).status).toBe(64),
  );
});

describe('the report of a boot', () => {
  const crash = () => join(lab.folder, 'pstore');
  const dump = (name: string, text: string) => writeFileSync(join(crash(), name), text);
  beforeEach(() => {
    rmSync(crash(), { recursive: true, force: true });
    mkdirSync(crash());
  });

  it('has the last lines of the console of the boot before, and removes them once it is accepted', async () => {
    dump('dmesg-efi_pstore-171', 'Panic#1 Part1\n<0>end of the panic\n');
    dump('dmesg-efi_pstore-172', 'Panic#1 Part2\n<4>the middle\u001b[2J\n');
    dump('dmesg-efi_pstore-181', 'Panic#1 Part10\n<4>the beginning\n');
    const run = await lab.run();
    expect(run.status, run.console).toBe(0);
    expect(reportOf(run)).toBe(
      'Panic#1 Part10\n<4>the beginning\nPanic#1 Part2\n<4>the middle[2J\nPanic#1 Part1\n<0>end of the panic\n',
    );
    expect(claimsOf(run)).not.toHaveProperty('health');
    expect(claimsOf(run).reportSha256).toBe(toHex(sha256(Buffer.from(reportOf(run) ?? '', 'latin1'))));
    expect(reportOf(await lab.run())).toBeUndefined();
  });

  it('is at most 16 KiB of it, the newest', async () => {
    dump('dmesg-erst-1', `Oops#2 Part1\n${'x'.repeat(40_000)} the end\n`);
    const report = reportOf(await lab.run());
    expect(report).toHaveLength(16384);
    expect(report).toMatch(/ the end\n$/);
  });

  it('stays while the server says nothing', async () => {
    dump('dmesg-erst-1', 'Panic#1 Part1\nkept\n');
    const any: NonNullable<Scenario['lies']>['any'] = (request, response) => {
      if (request.url !== '/v1/evidence') return false;
      response.destroy();
      return true;
    };
    const run = await lab.run({ lies: { any } });
    expect(run.status).not.toBe(0);
    expect(readFileSync(join(crash(), 'dmesg-erst-1'), 'latin1')).toContain('kept');
  });

  const bootThatGets = (status: number, code: string, reasons: JsonObject[] = []) =>
    lab.run({
      bake: setting('pending_seconds=1'),
      lies: { verdict: () => problem(status, code, code, { verdict: 'hold', reasons, notes: [] }) },
    });
  it.each([
    [403, 'evidence-held'],
    [403, 'evidence-refused'],
    [409, 'challenge-spent'],
    [503, 'database-busy'],
  ])('stays when the server did not keep it (%i %s)', async (status, code) => {
    dump('dmesg-erst-1', 'Panic#1 Part1\nkept\n');
    const reasons = status === 403 ? [{ code: 'floor-missing', message: 'it is gone' }] : [];
    const run = await bootThatGets(status, code, reasons);
    expect(reportOf(run)).toContain('kept');
    expect(existsSync(join(crash(), 'dmesg-erst-1'))).toBe(true);
  });

  it('goes when the machine is accepted and there is no release', async () => {
    dump('dmesg-erst-1', 'Panic#1 Part1\nkept\n');
    const run = await bootThatGets(409, 'no-release');
    // It may ask once more before its time is up, and has nothing to report then.
    expect(reportOf(run, 0)).toContain('kept');
    expect(existsSync(join(crash(), 'dmesg-erst-1'))).toBe(false);
  });

  it.each(['\n<0>the end\n', '   \n<0>the end\n', '#1 Part1\n<0>the end\n'])(
    'has a dump that begins with %j, too, and removes it',
    async (text) => {
      dump('dmesg-erst-1', text);
      expect(reportOf(await lab.run())).toBe(text);
      expect(existsSync(join(crash(), 'dmesg-erst-1'))).toBe(false);
    },
  );

  it('is nothing where there is nothing', async () => {
    expect(claimsOf(await lab.run())).not.toHaveProperty('reportSha256');
  });
});
