import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { AGENT } from './agent-run.ts';
import { type Outcome, openScriptedLab, POISONED, type ScriptedLab, ZERO } from './scripted-lab.ts';
import { answerFile } from './scripted-server.ts';
import { until } from './until.ts';

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
afterAll(() => lab.close());

const spentOn = (digest: unknown): string =>
  toHex(sha256(concatBytes(new Uint8Array(32), fromHex(String(digest)))));

const steps = ({ marks }: Outcome): string[] => marks.map(({ step }) => step);

describe('a boot', () => {
  it.each(['dash', 'busybox sh'])('goes from challenge to hand-over under %s', async (shell) => {
    const outcome = await lab.run({ shell: shell.split(' ') });
    expect(outcome.status, outcome.console).toBe(0);
    expect(steps(outcome)).toEqual([
      ...['start', 'tpm', 'metadata', 'root', 'challenge', 'evidence', 'verdict'],
      ...['metadata', 'metadata', 'metadata', 'metadata', 'artifact', 'manifest', 'artifact', 'artifact'],
      ...['grant-closed', 'floor', 'handover'],
    ]);
    expect(JSON.parse(outcome.stdout)).toMatchObject({ handover: 'kexec', cmdline: 'console=ttyS0 quiet' });
    expect(outcome.pcr14).toBe(spentOn(outcome.world.release.digest));
  });

  it('sends evidence in the form of the protocol', async () => {
    const { server, marks } = await lab.run();
    const [evidence] = server.evidence as (JsonObject & { claims: string })[];
    expect(Object.keys(evidence ?? {}).sort()).toEqual([
      'attest',
      'challenge',
      'claims',
      'pcrs',
      'signature',
    ]);
    const claims = JSON.parse(Buffer.from(evidence?.claims ?? '', 'base64').toString()) as JsonObject;
    expect(claims).toEqual({
      purpose: 'boot',
      serverKey: server.key,
      ekFingerprint: marks.find(({ step }) => step === 'tpm')?.values.ek,
      ephemeralKey: expect.stringMatching(/^MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/),
      eventLogSha256: toHex(sha256(new Uint8Array(0))),
      stage0Build: 1,
    });
  });

  it('goes on where a download broke, and asks only for the rest', async () => {
    const ranges: (string | undefined)[] = [];
    const outcome = await lab.run({
      lies: {
        artifact(response, hash, range, world) {
          const bytes = world.artifacts.get(hash);
          if (hash !== world.manifest.initramfs.sha256 || bytes === undefined)
            return answerFile(response, bytes);
          ranges.push(range);
          if (range !== undefined) return answerFile(response, bytes, range);
          response.writeHead(200, { 'content-length': bytes.length });
          response.write(bytes.subarray(0, 100_000), () => response.destroy());
        },
      },
    });
    expect(outcome.status, outcome.console).toBe(0);
    expect(ranges).toEqual([undefined, 'bytes=100000-']);
  });

  it('follows root metadata to the newest version', async () => {
    const outcome = await lab.run({ world: { laterRoots: 2 } });
    expect(outcome.status, outcome.console).toBe(0);
    expect(outcome.marks.find(({ step }) => step === 'root')?.values.version).toBe('3');
  });

  it('tries again when the server cannot answer, and then boots', async () => {
    let refusals = 2;
    const outcome = await lab.run({
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
    });
    expect(outcome.status, outcome.console).toBe(0);
    expect(steps(outcome).filter((step) => step === 'retry')).toHaveLength(2);
  });
});

describe('every exit that is no hand-over', () => {
  it('poisons PCR 14 when there are no settings', async () => {
    const outcome = await lab.run({ settings: { serverUrl: 'http://127.0.0.1:1' } });
    expect(outcome).toMatchObject({ status: 20, stopCode: 'config-invalid', pcr14: POISONED });
  });

  it('poisons PCR 14 when retries are used up', async () => {
    const outcome = await lab.run({ settings: { serverUrl: 'https://127.0.0.1:1', retryAttempts: 2 } });
    expect(outcome).toMatchObject({ status: 20, stopCode: 'retries-exhausted', pcr14: POISONED });
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('poisons PCR 14 at once on %s', async (signal) => {
    const { agent, server } = await lab.start({ lies: { any: () => true } });
    await until(() => server.requests.length > 0);
    agent.signal(signal);
    await until(() => lab.tpm.pcr(14) === POISONED);
    await server.close();
    expect((await agent.ended).status).toBeGreaterThan(128);
  });

  it('poisons PCR 14 when the kernel does not take the release', async () => {
    const outcome = await lab.run({ command: ['boot', '--handover', 'kexec'] });
    expect(outcome).toMatchObject({ status: 20, stopCode: 'handover-failed', pcr14: POISONED });
  });

  it('poisons PCR 14 after a verdict that nobody uses, with the grant closed', async () => {
    const outcome = await lab.run({ command: ['attest', '--purpose', 'boot'] });
    expect(outcome).toMatchObject({ status: 0, pcr14: POISONED });
    expect(outcome.server.requests.at(-1)).toBe('DELETE /v1/grant');
  });

  it('leaves the release in PCR 14 alone when asked to poison it', async () => {
    const outcome = await lab.run();
    const environment = { ...process.env, TPM2TOOLS_TCTI: lab.tpm.tcti, BOOTWARD_RUN: lab.folder };
    execFileSync('dash', [AGENT, 'poison'], { env: environment });
    expect(lab.tpm.pcr(14)).toBe(outcome.pcr14);
  });
});

describe('what is not a boot', () => {
  it.each([
    [[]],
    [['boot', '--fast']],
    [['boot', '--hand', 'print']],
    [['fingerprint', '--every']],
    [['shell']],
  ])('does nothing for the words %s', async (command) => {
    const outcome = await lab.run({ command });
    expect(outcome).toMatchObject({ status: 64, pcr14: ZERO });
    expect(outcome.server.requests).toEqual([]);
  });

  it('stops by name when the endorsement hierarchy has a password', async () => {
    const { agent, server } = await lab.start({
      prepare: (tpm) => void tpm.run('changeauth', '-c', 'e', 'secret'),
    });
    const ended = await agent.ended;
    await server.close();
    lab.tpm.run('changeauth', '-c', 'e', '-p', 'secret');
    expect(ended.stopCode).toBe('endorsement-auth-set');
    expect(lab.tpm.pcr(14)).toBe(POISONED);
  });

  it('tells the EK fingerprint and asks nobody', async () => {
    const booted = await lab.run();
    const asked = await lab.run({ command: ['fingerprint'] });
    expect(asked.stdout).toBe(`${booted.marks.find(({ step }) => step === 'tpm')?.values.ek}\n`);
    expect(asked.server.requests).toEqual([]);
  });

  it('makes the certified EK again from its template when the TPM holds no persistent one', async () => {
    const before = await lab.run({ command: ['fingerprint'] });
    const evict = (tpm: ScriptedLab['tpm']) => void tpm.run('evictcontrol', '-C', 'o', '-c', '0x81010001');
    const after = await lab.run({ command: ['fingerprint'], prepare: evict });
    expect(after.stdout).toBe(before.stdout);
  });
});

it('is clean by shellcheck', () => {
  const agent = fileURLToPath(new URL('../../agent', import.meta.url));
  execFileSync('shellcheck', ['bootward-agent', 'init', 'udhcpc.sh'], { cwd: agent, encoding: 'utf8' });
});
