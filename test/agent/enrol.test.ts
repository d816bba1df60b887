import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asciiBytes, toBase64 } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { certifyEk, HIGH_P256, HIGH_RSA, P256, writeCertificate } from './certify-ek.ts';
import { NODE_ID, problem } from './scripted-enrolment.ts';
import { type Outcome, openScriptedLab, POISONED, type Scenario, type ScriptedLab } from './scripted-lab.ts';
import { until } from './until.ts';

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
  // Power cuts after the use of a high-range EK count as wrong guesses, and this chip sees many.
  lab.tpm.run('dictionarylockout', '--setup-parameters', '--max-tries=1000000', '--recovery-time=1');
});
afterAll(() => lab.close());

const enrolling = (scenario: Scenario = {}): Scenario => ({
  ...scenario,
  lies: { enrolment: {}, ...scenario.lies },
});
const marksOf = (run: Outcome, step: string) => run.marks.filter((mark) => mark.step === step);
const eksOf = (run: Outcome): JsonObject[] => (run.server.enrolments.at(-1)?.eks ?? []) as JsonObject[];
const secretsOf = (run: Outcome): JsonObject[] =>
  (run.server.activations.at(-1)?.secrets ?? []) as JsonObject[];
const fingerprints = async () =>
  (await lab.run({ command: ['fingerprint', '--all'] })).stdout.trim().split('\n');

describe('the keys of one TPM', () => {
  it.each(['dash', 'busybox sh'])('P9 are shown and opened in one enrolment, under %s', async (shell) => {
    const run = await lab.run(enrolling({ shell: shell.split(' ') }));
    expect(run.status, run.console).toBe(0);
    expect(eksOf(run)).toHaveLength(2);
    expect(eksOf(run).every(({ certificate }) => typeof certificate === 'string')).toBe(true);
    expect(secretsOf(run).map(({ ekFingerprint }) => ekFingerprint)).toEqual(await fingerprints());
    expect(run.server.enrolments).toHaveLength(1);
  });

  it('come with what the TPM says of its manufacturer', async () => {
    const run = await lab.run(enrolling());
    expect(run.server.enrolments[0]?.tpmManufacturer).toBe(Buffer.from('IBM\0').toString('hex'));
    expect(run.server.enrolments[0]).not.toHaveProperty('token');
  });

  it('are named on the console in groups that people can compare', async () => {
    const run = await lab.run(enrolling());
    const [first = ''] = await fingerprints();
    expect(run.console).toContain(
      `compare with what the operator sees: ${first.slice(0, 4)} ${first.slice(4, 8)} `,
    );
    expect(run.console).toContain(` ${first.slice(28, 32)}\n`);
    expect(marksOf(run, 'enrol')[0]?.values).toMatchObject({ state: 'enrolled', node: NODE_ID, ek: first });
  });

  it('are all five that the profile has templates for, in its order', async () => {
    const folder = makeFolder('certified');
    const made = [P256, HIGH_RSA, HIGH_P256].map((template) => certifyEk(lab.tpm, folder, template));
    const all = await fingerprints();
    const run = await lab.run(enrolling());
    for (const { index } of [P256, HIGH_RSA, HIGH_P256]) lab.tpm.run('nvundefine', '-C', 'o', index);
    expect(run.status, run.console).toBe(0);
    expect(all.slice(1, 4)).toEqual(made);
    expect(secretsOf(run).map(({ ekFingerprint }) => ekFingerprint)).toEqual(all);
    expect(new Set(all).size).toBe(5);
  });

  it('leave out, aloud, the one that is not in its certificate', async () => {
    const folder = makeFolder('stranger');
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    writeFileSync(join(folder, 'ek.pem'), stranger.export({ type: 'spki', format: 'pem' }));
    writeCertificate(lab.tpm, folder, P256.index);
    const run = await lab.run(enrolling());
    lab.tpm.run('nvundefine', '-C', 'o', P256.index);
    expect(run.status, run.console).toBe(0);
    expect(marksOf(run, 'ek-left-out').map(({ values }) => values.index)).toEqual([P256.index]);
    expect(run.console).toContain(
      "The P-256 EK is left out though it has a certificate: the TPM's key is not",
    );
    expect(eksOf(run)).toHaveLength(2);
  });

  it('leave it to the server to read a certificate that openssl cannot', async () => {
    const sizes = ['-s', '16', '-a', 'ownerwrite|authread|ownerread|no_da', P256.index];
    lab.tpm.run('nvdefine', '-Q', '-C', 'o', ...sizes);
    const file = join(makeFolder('odd'), 'odd');
    writeFileSync(file, 'no certificate!!');
    lab.tpm.run('nvwrite', '-Q', '-C', 'o', '-i', file, P256.index);
    const run = await lab.run(enrolling());
    lab.tpm.run('nvundefine', '-C', 'o', P256.index);
    expect(run.status, run.console).toBe(0);
    expect(eksOf(run).map(({ certificate }) => certificate)).toContain(
      toBase64(asciiBytes('no certificate!!')),
    );
  });
});

it('a TPM that takes no authorizations for a while is tried again later', async () => {
  lab.tpm.run('dictionarylockout', '--setup-parameters', '--max-tries=1', '--recovery-time=1000');
  await lab.run(enrolling());
  const run = await lab.run(enrolling());
  lab.tpm.run('dictionarylockout', '--clear-lockout');
  lab.tpm.run('dictionarylockout', '--setup-parameters', '--max-tries=1000000', '--recovery-time=1');
  expect(run.marks.filter(({ step }) => step === 'retry').map(({ values }) => values.code)).toEqual([
    'tpm-locked',
  ]);
});

describe('an offer that is not the one for these keys', () => {
  type Credentials = JsonObject[];
  const credentials = (offer: JsonObject) => offer.credentials as Credentials;
  it.each<[string, string, (offer: JsonObject) => JsonObject]>([
    ['fewer credentials', 'answer-malformed', (o) => ({ ...o, credentials: credentials(o).slice(1) })],
    [
      'one twice',
      'answer-malformed',
      (o) => ({ ...o, credentials: [credentials(o)[0] ?? {}, ...credentials(o)] }),
    ],
    [
      'another EK',
      'answer-malformed',
      (o) => ({
        ...o,
        credentials: credentials(o).map((one, at) =>
          at === 0 ? { ...one, ekFingerprint: '0'.repeat(64) } : one,
        ),
      }),
    ],
    ['no list', 'answer-malformed', (o) => ({ ...o, credentials: 'all' })],
    ['an id with a path in it', 'answer-malformed', (o) => ({ ...o, id: '../grant' })],
    [
      'a blob with a second word',
      'answer-malformed',
      (o) => ({
        ...o,
        credentials: credentials(o).map((one) => ({ ...one, credentialBlob: `AA== ${one.encryptedSecret}` })),
      }),
    ],
    [
      'each credential for the other EK',
      'credential-refused',
      (o) => {
        const [first = {}, second = {}] = credentials(o);
        return {
          ...o,
          credentials: [
            { ...second, ekFingerprint: first.ekFingerprint ?? '' },
            { ...first, ekFingerprint: second.ekFingerprint ?? '' },
          ],
        };
      },
    ],
  ])('gets no answer: %s', async (_what, code, offer) => {
    const run = await lab.run(enrolling({ lies: { enrolment: { offer } } }));
    expect(run).toMatchObject({ status: 20, stopCode: code, pcr14: POISONED });
    expect(run.server.activations).toEqual([]);
  });

  it('P5 gets no answer when its challenge is for another purpose', async () => {
    const challenge = (payload: JsonObject) => ({ ...payload, purpose: 'boot' });
    const run = await lab.run(enrolling({ lies: { enrolment: {}, challenge } }));
    expect(run).toMatchObject({ status: 20, stopCode: 'challenge-purpose' });
    expect(run.server.activations).toEqual([]);
  });

  it('P6 gets no answer when its challenge does not name the key of this connection', async () => {
    const challenge = (payload: JsonObject) => ({ ...payload, serverKeys: ['0'.repeat(64)] });
    const run = await lab.run(enrolling({ lies: { enrolment: {}, challenge } }));
    expect(run).toMatchObject({ status: 20, stopCode: 'challenge-server-key' });
    expect(run.server.activations).toEqual([]);
  });
});

describe('another attestation key', () => {
  const rotated = (akGeneration: unknown) =>
    problem(409, 'ak-rotated', 'an operator asked for it', { akGeneration } as JsonObject);

  it('is made when an operator asked for one, and enrolled', async () => {
    let first: unknown;
    const run = await lab.run(
      enrolling({
        lies: {
          enrolment: {},
          refuseChallenge({ akName }) {
            first ??= akName;
            return akName === first ? rotated(2) : undefined;
          },
        },
      }),
    );
    expect(run.status, run.console).toBe(0);
    const [mark] = marksOf(run, 'ak-rotated');
    expect(mark?.values.generation).toBe('2');
    expect(mark?.values.ak).not.toBe(first);
    expect(run.server.enrolments).toHaveLength(1);
  });

  it('is made once in an attempt, however often the server asks', async () => {
    let asked = 1;
    const run = await lab.run({ lies: { refuseChallenge: () => rotated(++asked) } });
    expect(run).toMatchObject({ status: 20, stopCode: 'ak-rotated', pcr14: POISONED });
    expect(asked).toBe(3);
  });

  it.each([...[1, 0, -2, 2.5, 1_000_001, 2 ** 53, '2', null, [2], true], ...['2; reboot', '$(reboot)', {}]])(
    'is not made for the generation %j',
    async (akGeneration) => {
      const run = await lab.run({ lies: { refuseChallenge: () => rotated(akGeneration) } });
      expect(run).toMatchObject({ status: 20, stopCode: 'answer-malformed' });
      expect(marksOf(run, 'ak-rotated')).toEqual([]);
    },
  );

  it('that nobody allowed is held, and a person can act', async () => {
    const reasons = [{ code: 'ak-changed', message: 'this node had another attestation key' }];
    const held = problem(403, 'enrolment-held', 'held', { reasons });
    const run = await lab.start(enrolling({ lies: { enrolment: { activate: () => held } } }));
    await until(() => run.agent.console().includes('step=wait code=enrolment-held'));
    run.agent.signal('SIGTERM');
    await run.agent.ended;
    await run.server.close();
    expect(run.agent.console()).toContain('step=reason code=ak-changed');
    expect(lab.tpm.pcr(14)).toBe(POISONED);
  });
});

describe('an enrolment token that came with the machine', () => {
  const TOKEN = 'bwt-4F7Q-9XK2-PLM1';
  const withToken = (text: string, scenario: Scenario = {}) => {
    writeFileSync(join(lab.folder, 'token'), text);
    return lab.run(enrolling(scenario));
  };

  it.each([TOKEN, `${TOKEN}\n`, `${TOKEN}\r\n`])('is in the enrolment and nowhere else: %j', async (text) => {
    const run = await withToken(text);
    expect(run.status, run.console).toBe(0);
    expect(run.server.enrolments.map(({ token }) => token)).toEqual([TOKEN]);
    expect(JSON.stringify([run.server.evidence, run.server.activations, run.server.requests])).not.toContain(
      TOKEN,
    );
    expect(run.console + run.stdout).not.toContain(TOKEN);
    expect(filesHolding(lab.folder, TOKEN)).toEqual([]);
  });

  it.each([
    'short',
    'x'.repeat(129),
    'a"b,"c":"defgh',
    'abcdefgh\u001b[2J',
    'abc\tdef gh',
    'abcdefgh\\',
    '$(reboot)x',
  ])('is not sent when it is none: %j', async (text) => {
    const run = await withToken(text);
    expect(run.status, run.console).toBe(0);
    expect(run.server.enrolments[0]).not.toHaveProperty('token');
    expect(marksOf(run, 'token-unusable')).toHaveLength(1);
  });

  it('is dropped when the server does not take it, and the machine goes on without', async () => {
    const begin = (body: JsonObject) =>
      body.token === undefined ? undefined : problem(403, 'token-refused', 'another machine has used it');
    const run = await withToken(TOKEN, { lies: { enrolment: { begin } } });
    expect(run.status, run.console).toBe(0);
    expect(marksOf(run, 'token-refused')[0]?.values.code).toBe('token-refused');
    expect(run.server.enrolments.map(({ token }) => token)).toEqual([TOKEN, undefined]);
  });

  it('does not hide why the server refuses the machine itself', async () => {
    const begin = () => problem(403, 'node-revoked', 'this machine was revoked');
    const run = await withToken(TOKEN, { lies: { enrolment: { begin } } });
    expect(run).toMatchObject({ status: 23, stopCode: 'node-revoked' });
    expect(run.server.enrolments).toHaveLength(1);
  });
});

describe('an enrolment token that a person types', () => {
  const TOKEN = 'typed-token-0001';

  /** Pending until that token comes. */
  function waiting() {
    rmSync(join(lab.folder, 'token'), { force: true });
    let state = 'pending';
    const begin = ({ token }: JsonObject) => {
      if (token === TOKEN) state = 'enrolled';
      else if (token !== undefined) return problem(403, 'token-refused', 'no such token');
      return undefined;
    };
    const enrolment = { begin, state: () => ({ state, nodeId: NODE_ID, retryAfterSeconds: 30 }) };
    return lab.start({ terminal: true, lies: { enrolment } });
  }

  it('ends the waiting at once, and does not show on the console', async () => {
    const { agent, server } = await waiting();
    await until(() => agent.console().includes('Waiting for an operator'));
    agent.type('typing-error\n');
    await until(() => agent.console().includes('step=token-refused'));
    await until(() => agent.console().split('Waiting for an operator').length === 3);
    agent.type(`${TOKEN}\n`);
    const ended = await agent.ended;
    await server.close();
    expect(ended.status, ended.console).toBe(0);
    expect(server.enrolments.map(({ token }) => token)).toEqual([
      undefined,
      'typing-error',
      undefined,
      TOKEN,
    ]);
    expect(ended.console).not.toContain(TOKEN);
    expect(ended.console).not.toContain('typing-error');
  });

  it('is never run: there is no shell', async () => {
    const { agent, server } = await waiting();
    await until(() => agent.console().includes('Waiting for an operator'));
    agent.type('$(touch /tmp/bootward-owned); id\n');
    await until(() => agent.console().includes('step=token-unusable'));
    agent.signal('SIGTERM');
    await agent.ended;
    await server.close();
    expect(agent.console()).not.toContain('uid=');
    expect(existsSync('/tmp/bootward-owned')).toBe(false);
  });
});

/** What the agent leaves behind in its folders. */
function filesHolding(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => {
    const file = join(folder, path);
    return statSync(file).isFile() && readFileSync(file, 'latin1').includes(text);
  });
}

function makeFolder(name: string): string {
  const folder = join(lab.folder, name);
  mkdirSync(folder);
  return folder;
}
