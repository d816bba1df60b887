import { setTimeout as delay } from 'node:timers/promises';
import { type Behaviour, type Run, runOf } from './behaviour.ts';
import { downloadRelease } from './downloads.ts';
import { FleetError } from './fleet-error.ts';
import type { VirtualNode } from './virtual-node.ts';
import type { Answer } from './wire/https-client.ts';

/** One boot into a release. */
export interface Boot {
  readonly version: number;
  readonly releaseDigest: string;
  readonly run: Run;
  /** From power-on to the end of the last answer. */
  readonly milliseconds: number;
  readonly downloadedBytes: number;
}

/** What became of a machine that was switched on. */
export type Ending =
  /** A system runs and has said that it is well. */
  | { readonly kind: 'up' }
  /** A system runs and says nothing, until the next power-on. */
  | { readonly kind: 'hung' }
  /** It was never switched on. */
  | { readonly kind: 'off' }
  /** The server would not have it: it waits in stage-0. */
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  /** It was started again and again, and the experiment had no time for more. */
  | { readonly kind: 'restless' };

export interface PowerOn {
  readonly boots: readonly Boot[];
  readonly enrolled: boolean;
  readonly ending: Ending;
}

export interface Machine {
  readonly node: VirtualNode;
  readonly behaviour: Behaviour;
  /** Of the last boot; undefined before the first. */
  lastBoot(): Boot | undefined;
  /** Runs until the system stays up, hangs, is refused, or was started too often. */
  powerOn(limits: PowerLimits): Promise<PowerOn>;
}

export interface PowerLimits {
  readonly maxBoots: number;
  /** Whether artifacts are downloaded, or only granted. */
  readonly downloads: boolean;
  /** Ends waiting. */
  readonly signal?: AbortSignal;
}

export function createMachine(node: VirtualNode, behaviour: Behaviour): Machine {
  let last: Boot | undefined;

  async function run({ maxBoots, ...limits }: PowerLimits): Promise<PowerOn> {
    const boots: Boot[] = [];
    let enrolled = false;
    while (boots.length < maxBoots && limits.signal?.aborted !== true) {
      const cycle = await powerCycle(node, behaviour, limits);
      enrolled ||= cycle.enrolled;
      if (cycle.kind === 'refused') return { boots, enrolled, ending: cycle };
      boots.push(cycle.boot);
      last = cycle.boot;
      const ending = endingOf(cycle.boot.run);
      if (ending !== undefined) return { boots, enrolled, ending };
    }
    return { boots, enrolled, ending: { kind: 'restless' } };
  }

  return {
    node,
    behaviour,
    lastBoot: () => last,
    async powerOn(limits) {
      if (behaviour.kind === 'offline') return { boots: [], enrolled: false, ending: { kind: 'off' } };
      return run(limits).finally(() => node.close());
    },
  };
}

/** Undefined: it starts again by itself. */
function endingOf(run: Run): Ending | undefined {
  if (run.kind === 'hangs') return { kind: 'hung' };
  return run.kind === 'reports' && run.health === 'healthy' ? { kind: 'up' } : undefined;
}

type Cycle = { enrolled: boolean } & (
  | { kind: 'booted'; boot: Boot }
  | { kind: 'refused'; code: string; detail: string }
);

/** From power-on to the report of the running system, or to where it goes no further. */
async function powerCycle(
  node: VirtualNode,
  behaviour: Behaviour,
  { downloads, signal }: Omit<PowerLimits, 'maxBoots'>,
): Promise<Cycle> {
  const startedAt = performance.now();
  node.close();
  await node.powerCycle();
  const { enrolled, answer } = await attest(node, signal);
  if (answer.status !== 200) return { kind: 'refused', enrolled, ...problemOf(answer) };
  const { release, grant } = answer.json;
  const { version, digest: releaseDigest } = release;
  const downloadedBytes = downloads ? await downloadRelease(node, { grant, digest: releaseDigest }) : 0;
  requireStatus(await node.closeGrant(grant), 204, 'closing the grant');
  const run = runOf(behaviour, version);
  await report(node, { run, releaseDigest, signal });
  const milliseconds = performance.now() - startedAt;
  return {
    kind: 'booted',
    enrolled,
    boot: { version, releaseDigest, run, milliseconds, downloadedBytes },
  };
}

/** Evidence of a boot; a machine that the server does not know enrols first. */
async function attest(
  node: VirtualNode,
  signal: AbortSignal | undefined,
): Promise<{ enrolled: boolean; answer: Answer }> {
  const known = await patiently(signal, () => node.askChallenge());
  if (known.status === 200) return { enrolled: false, answer: await submit(node, known, signal) };
  if (known.json.code !== 'ak-unknown') return { enrolled: false, answer: known };
  const enrolment = await patiently(signal, () => node.enrol());
  if (enrolment.status !== 200) return { enrolled: false, answer: enrolment };
  const asked = await patiently(signal, () => node.askChallenge());
  if (asked.status !== 200) return { enrolled: true, answer: asked };
  return { enrolled: true, answer: await submit(node, asked, signal) };
}

async function submit(node: VirtualNode, asked: Answer, signal: AbortSignal | undefined): Promise<Answer> {
  const evidence = await node.evidence(asked.json.challenge, 'boot');
  return patiently(signal, () => node.submit(evidence));
}

async function report(
  node: VirtualNode,
  { run, releaseDigest, signal }: { run: Run; releaseDigest: string; signal: AbortSignal | undefined },
): Promise<void> {
  if (run.kind !== 'reports') return;
  if (run.afterSeconds > 0) await pause(run.afterSeconds, signal);
  const { health } = run;
  const words = health === 'healthy' ? {} : { claims: { health }, report: 'simulated: a check has failed\n' };
  requireStatus(
    await patiently(signal, () => node.prove('health', releaseDigest, words)),
    200,
    'health evidence',
  );
}

const MAX_PATIENCE = 5;

/** Answers 429 and 503 say how long to wait; then the same is asked again. */
async function patiently(signal: AbortSignal | undefined, ask: () => Promise<Answer>): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await ask();
    const seconds = Number(answer.headers['retry-after']);
    const isLater = (answer.status === 429 || answer.status === 503) && Number.isFinite(seconds);
    if (!isLater || tries === MAX_PATIENCE || signal?.aborted === true) return answer;
    await pause(seconds, signal);
  }
}

function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return delay(seconds * 1000, undefined, signal && { signal }).catch(() => undefined);
}

function requireStatus(answer: Answer, status: number, what: string): void {
  if (answer.status === status) return;
  const { code, detail } = problemOf(answer);
  throw new FleetError('answer-unexpected', `${what}: status ${answer.status}, ${code}: ${detail}`);
}

function problemOf({ status, json }: Answer): { code: string; detail: string } {
  const reasons = ((json.reasons ?? []) as { code: string; message: string }[]).map(
    ({ code, message }) => `${code}: ${message}`,
  );
  const [code, detail] = [json.code ?? `status-${status}`, json.detail ?? ''].map(String);
  return { code: code ?? '', detail: [detail, ...reasons].join('; ') };
}
