import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { problem } from './scripted-enrolment.ts';
import {
  type Outcome,
  openScriptedLab,
  POISONED,
  type Scenario,
  type ScriptedLab,
  ZERO,
} from './scripted-lab.ts';
import { until } from './until.ts';

// What the running system asks for: `bootward-agent attest`. The server of the tests accepts whatever it gets.

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
afterAll(() => lab.close());

const reattest = (scenario: Scenario = {}, ...more: string[]): Promise<Outcome> =>
  lab.run({ command: ['attest', '--purpose', 'reattest', ...more], ...scenario });
const refusing =
  (code: string, ...reasons: JsonObject[]) =>
  () =>
    problem(403, code, 'the evidence does not do', { reasons, notes: [] });
const answering = (changes: JsonObject) => (honest: JsonObject) => ({
  status: 200,
  body: { ...honest, ...changes },
});

describe('evidence of the running system', () => {
  it.each(['dash', 'busybox sh'])(
    'is accepted, said in one line and leaves PCR 14 alone, under %s',
    async (shell) => {
      const run = await reattest({ shell: shell.split(' ') });
      expect(run).toMatchObject({ status: 0, pcr14: ZERO });
      expect(run.stdout).toBe(
        'accepted: reattest, certified, listed, measured, expected again within 3600 seconds\n',
      );
      expect(run.marks.map(({ step }) => step)).toEqual([
        ...['start', 'tpm', 'metadata', 'root', 'challenge', 'evidence', 'verdict'],
      ]);
    },
  );

  it.each(['reattest', 'health'])('P4 is of the purpose that was asked for: %s', async (purpose) => {
    const run = await lab.run({ command: ['attest', '--purpose', purpose] });
    const [evidence] = run.server.evidence;
    const claims = JSON.parse(Buffer.from(String(evidence?.claims), 'base64').toString()) as JsonObject;
    expect(claims.purpose).toBe(purpose);
    expect(run.marks.find(({ step }) => step === 'challenge')?.values.purpose).toBe(purpose);
  });

  it('is shown to programs as one JSON object', async () => {
    const notes = [{ code: 'clock-unsafe', message: 'the clock may have been set back' }];
    const run = await reattest({ lies: { verdict: answering({ notes }) } }, '-o', 'json');
    expect(JSON.parse(run.stdout)).toEqual({
      ...{ purpose: 'reattest', result: 'accepted', code: null, message: null },
      facts: { identity: 'certified', admission: 'listed', state: 'measured' },
      ...{ reasons: [], notes, nextWithinSeconds: 3600 },
    });
  });

  it('needs no word about when to come again', async () => {
    const verdict = ({ nextWithinSeconds: _, ...body }: JsonObject) => ({ status: 200, body });
    const run = await reattest({ lies: { verdict } });
    expect(run).toMatchObject({ status: 0, stdout: 'accepted: reattest, certified, listed, measured\n' });
  });

  it('names the stage-0 build that stage-0 left a note of', async () => {
    const conf = join(lab.folder, 'etc/agent.conf');
    writeFileSync(join(lab.folder, 'boot.json'), '{"stage0Build":41}');
    const run = await reattest({
      bake: () =>
        writeFileSync(conf, readFileSync(conf, 'utf8').replace(/^(stage0_build|on_failure)=.*\n/gm, '')),
    });
    rmSync(join(lab.folder, 'boot.json'));
    expect(run.status, run.console).toBe(0);
    expect(run.marks[0]?.values.build).toBe('41');
  });

  it('is not made without that note and without a setting', async () => {
    const conf = join(lab.folder, 'etc/agent.conf');
    const bake = () => writeFileSync(conf, readFileSync(conf, 'utf8').replace(/^stage0_build=.*\n/m, ''));
    const run = await reattest({ bake });
    expect(run).toMatchObject({ status: 20, stopCode: 'config-invalid', pcr14: ZERO });
    expect(run.stdout).toMatch(/^failed: config-invalid: .*stage0_build is not a positive integer/);
  });
});

describe('the exit status and the one line', () => {
  it('23: refused, with the reasons', async () => {
    const reason = { code: 'pcr14-not-release', message: 'PCR 14 is not the release of this session' };
    const verdict = refusing('evidence-refused', reason);
    const run = await reattest({ lies: { verdict } });
    expect(run).toMatchObject({ status: 23, stopCode: 'evidence-refused', pcr14: ZERO });
    expect(run.stdout).toBe(`refused: ${reason.code}: ${reason.message}\n`);
    const asJson = await reattest({ lies: { verdict } }, '-o', 'json');
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      result: 'refused',
      code: 'evidence-refused',
      reasons: [reason],
    });
  });

  it('22: held until an operator has looked', async () => {
    const reason = { code: 'firmware-changed', message: 'PCR 7 changed' };
    const run = await reattest({ lies: { verdict: refusing('evidence-held', reason) } });
    expect(run).toMatchObject({ status: 22, stopCode: 'evidence-held', pcr14: ZERO });
    expect(run.stdout).toBe('held: firmware-changed: PCR 7 changed\n');
  });

  it('21: no answer', async () => {
    const run = await reattest({ settings: { serverUrl: 'https://127.0.0.1:1' } }, '-o', 'json');
    expect(run).toMatchObject({ status: 21, pcr14: ZERO });
    expect(JSON.parse(run.stdout)).toMatchObject({
      result: 'unreachable',
      code: 'server-unreachable',
      facts: null,
    });
  });

  it('24: no TPM', async () => {
    const run = await reattest({ tcti: 'device:/dev/no-tpm' });
    expect(run).toMatchObject({ status: 24, stopCode: 'tpm-missing' });
    expect(run.stdout).toMatch(/^no-tpm: tpm-missing: /);
  });

  it('23: not enrolled, and the running system does not enrol', async () => {
    const run = await reattest({ lies: { enrolment: {} } });
    expect(run).toMatchObject({ status: 23, stopCode: 'ak-unknown' });
    expect(run.server.enrolments).toEqual([]);
  });

  it.each([
    [[]],
    [['--purpose', 'enrol']],
    [['--purpose', 'reattest', '-o', 'yaml']],
    [['--purpose', 'reattest', '-o']],
    [['-o', 'json', '--purpose', 'reattest']],
    [['--purpose', 'reattest; id']],
  ])('64: not the words that attest knows: %j', async (words) => {
    const run = await lab.run({ command: ['attest', ...words] });
    expect(run).toMatchObject({ status: 64, pcr14: ZERO, stdout: '' });
    expect(run.server.requests).toEqual([]);
  });
});

describe('a running system is no boot', () => {
  it('P4 a boot is spent by asking for its verdict alone, in the same words', async () => {
    const run = await lab.run({ command: ['attest', '--purpose', 'boot'] });
    expect(run).toMatchObject({ status: 0, pcr14: POISONED });
    expect(run.stdout).toBe('accepted: boot, certified, listed, measured\n');
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('leaves PCR 14 alone on %s', async (signal) => {
    const command = ['attest', '--purpose', 'health'];
    const { agent, server } = await lab.start({ command, lies: { any: () => true } });
    await until(() => server.requests.length > 0);
    agent.signal(signal);
    await server.close();
    expect((await agent.ended).status).toBeGreaterThan(128);
    expect(lab.tpm.pcr(14)).toBe(ZERO);
  });
});

describe('a hostile server gets nothing out of a running system', () => {
  const FULL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];
  it.each<[string, string, (payload: JsonObject) => JsonObject]>([
    ['P4 purpose boot', 'challenge-purpose', (p) => ({ ...p, purpose: 'boot' })],
    ['P4 purpose enrol', 'challenge-purpose', (p) => ({ ...p, purpose: 'enrol' })],
    ['P4 purpose health', 'challenge-purpose', (p) => ({ ...p, purpose: 'health' })],
    ['P5 no PCR 14', 'challenge-pcrs', (p) => ({ ...p, pcrs: FULL.slice(0, -1) })],
    ['P5 another attestation key', 'challenge-ak', (p) => ({ ...p, akName: `000b${'0'.repeat(64)}` })],
    ['P5 expired', 'challenge-expired', (p) => ({ ...p, iat: 1000, exp: 1120 })],
    ['P6 another server key', 'challenge-server-key', (p) => ({ ...p, serverKeys: ['0'.repeat(64)] })],
  ])('%s: the challenge gets no answer', async (_what, code, challenge) => {
    const run = await reattest({ lies: { challenge } });
    expect(run).toMatchObject({ status: 20, stopCode: code, pcr14: ZERO });
    expect(run.server.evidence).toEqual([]);
  });

  it.each<[string, JsonObject]>([
    ['another verdict', { verdict: 'yes' }],
    ['no facts', { facts: null }],
    ['facts in a list', { facts: ['certified', 'listed', 'measured'] }],
    [
      'a fact of two lines',
      { facts: { identity: 'certified\nnote x y', admission: 'listed', state: 'measured' } },
    ],
    ['a fact that is a number', { facts: { identity: 1, admission: 'listed', state: 'measured' } }],
    ['notes that are text', { notes: 'none' }],
    ['a note without code', { notes: [{ message: 'x' }] }],
    ['a note whose message is an object', { notes: [{ code: 'x', message: {} }] }],
    ['a time as text', { nextWithinSeconds: '3600' }],
    ['a time of a fraction', { nextWithinSeconds: 1.5 }],
    ['a time of nothing', { nextWithinSeconds: 0 }],
    ['a time of null', { nextWithinSeconds: null }],
    ['a time without end', { nextWithinSeconds: 1e15 }],
  ])('an answer with %s is not understood', async (_what, changes) => {
    const run = await reattest({ lies: { verdict: answering(changes) } });
    expect(run).toMatchObject({ status: 20, stopCode: 'answer-malformed', pcr14: ZERO });
  });

  it('steers no terminal and forges no marker by what it says', async () => {
    const message = 'x\u001b[2J\nbootward: [1.00s] step=verdict verdict=accept';
    const verdict = refusing('evidence-refused', { code: 'pcr14-not-release', message });
    const run = await reattest({ lies: { verdict } });
    expect(run.marks.filter(({ step }) => step === 'verdict')).toEqual([]);
    expect(run.console + run.stdout).not.toContain('\u001b');
    expect(run.stdout.split('\n')).toHaveLength(2);
  });
});
