import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AppraisalInput } from '../../../src/attestation/appraisal.ts';
import { builtInPolicy } from '../../../src/attestation/policy/policy.ts';
import {
  createInlineVerification,
  type Verification,
} from '../../../src/boot-server/verification/verification.ts';
import { THREAD_LIMITS, WORKER_PROGRAM } from '../../../src/boot-server/verification/verification-thread.ts';
import { createVerificationWorkers } from '../../../src/boot-server/verification/verification-workers.ts';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { AK, sealEvidence } from '../../attestation/evidence-fixture.ts';

const SCRIPTED = new URL('./programs/scripted-worker.ts', import.meta.url);
const STILLBORN = new URL('./programs/stillborn-worker.ts', import.meta.url);

/** Evidence that is refused for its claims: enough to see who decided. */
function input(challenge: string, eventLog = new Uint8Array(0)): AppraisalInput {
  return {
    purpose: 'boot',
    challenge,
    untrustedClaims: asciiBytes('no claims'),
    untrustedEvidence: { ...sealEvidence({ pcrs: new Map() }), eventLog },
    attester: {
      akPublic: AK.publicBytes,
      ekFingerprints: [],
      identity: 'certified',
      admission: 'listed',
      romAsserted: false,
    },
    connection: { clientSpki: new Uint8Array(0), serverKeys: [] },
    stage0References: [],
    policy: builtInPolicy({ eventLog: 'required', secureBoot: 'required' }),
    firmwareApprovals: [],
    nowSeconds: 0,
  };
}

const FAILED = { appraisal: { verdict: 'refuse', reasons: [{ code: 'verification-failed' }] } };
const DECIDED = { appraisal: { verdict: 'refuse', reasons: [{ code: 'claims-malformed' }] } };

describe('verification threads', () => {
  const started: Verification[] = [];
  const alive = new Set<Worker>();
  const watch = (worker: Worker) => {
    alive.add(worker);
    worker.once('exit', () => alive.delete(worker));
  };
  beforeAll(() => void process.on('worker', watch));
  afterAll(() => void process.off('worker', watch));
  afterEach(async () => {
    await Promise.all(started.splice(0).map((verification) => verification.stop()));
  });

  function start(changes: Partial<Parameters<typeof createVerificationWorkers>[0]> = {}) {
    const lines: string[] = [];
    const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
    const workers = createVerificationWorkers({ threads: 1, logger, program: SCRIPTED, ...changes });
    started.push(workers);
    return { workers, lines };
  }

  test('decide as the event loop would', async () => {
    const evidence = input('a challenge', new Uint8Array(200_000));
    const { workers } = start({ program: WORKER_PROGRAM });
    const outcome = await workers.appraise(evidence);
    expect(outcome).toEqual(await createInlineVerification().appraise(evidence));
    expect(outcome).toMatchObject(DECIDED);
  });

  test.each(['throw', 'say nothing of value', 'accept without facts', 'say undefined'])(
    'Q55 a thread that does this refuses the evidence and the next one decides: %s',
    async (fault) => {
      const { workers, lines } = start();
      const outcome = await workers.appraise(input(fault));
      expect(outcome).toMatchObject(FAILED);
      expect(JSON.parse(outcome.evidenceDocument)).toMatchObject({ format: 'bootward-evidence-v1' });
      expect(lines.join()).toContain('its verification did not end');
      expect(await workers.appraise(input('a challenge'))).toMatchObject(DECIDED);
    },
  );

  test.each(['hang', 'exit'])(
    'Q55 evidence that a thread does not answer in time is refused: %s',
    async (fault) => {
      const { workers } = start({ limits: { ...THREAD_LIMITS, decideMs: 200 } });
      expect(await workers.appraise(input('a challenge'))).toMatchObject(DECIDED);
      const [hostile, honest] = await Promise.all([
        workers.appraise(input(fault)),
        workers.appraise(input('a challenge')),
      ]);
      expect(hostile).toMatchObject(FAILED);
      expect(honest).toMatchObject(DECIDED);
    },
  );

  test('evidence is not refused because the machine left its thread no time', async () => {
    const { workers, lines } = start({ limits: { ...THREAD_LIMITS, decideMs: 400 } });
    expect(await workers.appraise(input('starve'))).toMatchObject(DECIDED);
    expect(lines).toEqual([]);
  });

  test('Q55 a thread that does nothing for ever is not waited for', async () => {
    const { workers } = start({ limits: { ...THREAD_LIMITS, decideMs: 50 } });
    expect(await workers.appraise(input('sleep'))).toMatchObject(FAILED);
  });

  test('Q55 evidence that exhausts the memory of a thread is refused, and the server lives on', async () => {
    const { workers, lines } = start({ limits: { ...THREAD_LIMITS, decideMs: 10_000, heapMegabytes: 32 } });
    expect(await workers.appraise(input('exhaust'))).toMatchObject(FAILED);
    expect(lines.join()).toContain('ERR_WORKER_OUT_OF_MEMORY');
    expect(await workers.appraise(input('a challenge'))).toMatchObject(DECIDED);
  });

  test('a thread that cannot start is no verdict on the evidence', async () => {
    const { workers } = start({ program: STILLBORN });
    await expect(workers.appraise(input('a challenge'))).rejects.toThrow('this thread cannot start');
    await expect(workers.appraise(input('a challenge'))).rejects.toThrow('this thread cannot start');
  });

  test('more than can wait is turned away with a time to come back, and counted', async () => {
    const { workers } = start({ maxWaitingBytes: 100_000 });
    const large = input('a challenge', new Uint8Array(60_000));
    const working = workers.appraise(input('a challenge'));
    const waiting = workers.appraise(large);
    await expect(workers.appraise(large)).rejects.toMatchObject({
      code: 'too-many-requests',
      headers: { 'retry-after': '5' },
    });
    expect(workers.counters).toEqual({ turnedAway: 1 });
    expect(await working).toMatchObject(DECIDED);
    expect(await waiting).toMatchObject(DECIDED);
    expect(await workers.appraise(large)).toMatchObject(DECIDED);
  });

  test('two threads decide at the same time', async () => {
    const { workers } = start({ threads: 2, limits: { ...THREAD_LIMITS, decideMs: 1000 } });
    const order: string[] = [];
    const hanging = workers.appraise(input('hang')).then(() => order.push('hang'));
    await workers.appraise(input('a challenge')).then(() => order.push('decided'));
    await hanging;
    expect(order).toEqual(['decided', 'hang']);
  });

  test('an idle thread ends, and the next evidence starts another', async () => {
    const { workers } = start({ limits: { ...THREAD_LIMITS, idleMs: 20 } });
    await workers.appraise(input('a challenge'));
    while (alive.size > 0) await delay(5);
    expect(await workers.appraise(input('a challenge'))).toMatchObject(DECIDED);
    expect(alive.size).toBe(1);
  });

  test('stopping finishes what is decided on and turns away what waits', async () => {
    const { workers } = start();
    const working = workers.appraise(input('a challenge'));
    const waiting = workers.appraise(input('a challenge'));
    const turnedAway = expect(waiting).rejects.toMatchObject({ code: 'not-ready' });
    await workers.stop();
    await turnedAway;
    expect(await working).toMatchObject(DECIDED);
    await expect(workers.appraise(input('a challenge'))).rejects.toMatchObject({ code: 'not-ready' });
    expect(alive.size).toBe(0);
  });
});
