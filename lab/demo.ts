// `make demo`: the whole story on this machine, told as it happens. Exit status 0 only if every line of the
// summary is what it should be.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../src/core/errors.ts';
import { createCleanup } from './cleanup.ts';
import { readVerdicts } from './demo/server-records.ts';
import { STEPS, setUpStage } from './demo/stage.ts';
import type { Check, Stage } from './demo/step.ts';
import { ROLLOUT_RELEASES, ROLLOUT_STEPS } from './rollouts/story.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rollouts: { type: 'boolean', default: false } },
});
const steps = values.rollouts ? ROLLOUT_STEPS : STEPS;
const folder = join(import.meta.dirname, '../build/demo');
const started = performance.now();
const checks: Check[] = [];
const timings: { name: string; seconds: number }[] = [];
const cleanup = createCleanup();

const seconds = () => `${((performance.now() - started) / 1000).toFixed(1).padStart(6)}s`;

const say: Stage['say'] = (who, text, since) => {
  const machineTime = since === undefined ? '' : `${since.toFixed(1).padStart(5)}s `;
  console.log(`${seconds()}  ${who.padEnd(10)} ${machineTime.padEnd(7)}${text}`);
};

const check = (result: Check): void => {
  checks.push(result);
  console.log(`${seconds()}  ${result.ok ? 'proven    ' : 'NOT PROVEN'} ${result.claim}`);
};

async function run(): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  say('setup', 'two TPMs with EK certificates, a boot server, keys, stage-0 and release 1');
  const stage = await setUpStage({
    folder,
    cleanup,
    say,
    check,
    ...(values.rollouts && { releases: ROLLOUT_RELEASES }),
    timing: (name, since) => timings.push({ name, seconds: Math.round(since * 10) / 10 }),
  });
  for (const step of values.quick ? steps.slice(0, 1) : steps) {
    console.log(`\n== ${step.title}`);
    await step.run(stage);
  }
  await saveEvidence(stage);
  await writeFile(join(folder, 'boot-timings.json'), `${JSON.stringify(timings, null, 2)}\n`);
  await stage.world.server().stop();
}

/** Each file can be decided on again, anywhere: `boot-admin verify-evidence FILE`. */
async function saveEvidence({ world }: Stage): Promise<void> {
  await mkdir(join(folder, 'evidence'));
  for (const { id, purpose, verdict } of await readVerdicts(world)) {
    const document = await world.admin('verdicts', 'export', String(id)).catch(() => undefined);
    if (document !== undefined)
      await writeFile(join(folder, 'evidence', `${id}-${purpose}-${verdict}.json`), document);
  }
}

function summarize(): boolean {
  console.log('\n== Summary');
  for (const { ok, claim, observed } of checks)
    console.log(`${ok ? 'ok   ' : 'FAIL '} ${claim}\n      ${observed}`);
  const failed = checks.filter(({ ok }) => !ok).length;
  const where = relative(process.cwd(), folder);
  console.log(
    `\n${checks.length - failed} proven, ${failed} not, in ${seconds().trim()}. Logs and evidence: ${where}`,
  );
  return failed === 0 && checks.length > 0;
}

try {
  await run();
  process.exitCode = summarize() ? 0 : 1;
} catch (error) {
  console.error(`\ndemo: ${messageOf(error)}`);
  summarize();
  process.exitCode = 1;
} finally {
  cleanup.close();
}
