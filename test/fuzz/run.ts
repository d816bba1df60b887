// node test/fuzz/run.ts [--seconds 60] [--seed N] [--target NAME [--input FILE]]
// Time is shared by the targets. Exit status 1 when anything was found: docs/fuzzing.md.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { examine } from './examine.ts';
import { saveReproducer } from './reproducer.ts';
import { superviseCampaign } from './supervise.ts';
import { TARGETS, targetNamed } from './targets.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    target: { type: 'string' },
    input: { type: 'string' },
  },
});
const targets = options.target === undefined ? TARGETS : [targetNamed(options.target)];

if (options.input === undefined) await fuzz(Number(options.seconds), Number(options.seed));
else await tryAgain(options.input);

async function fuzz(seconds: number, seed: number): Promise<void> {
  if (!(seconds > 0) || !Number.isInteger(seed)) throw new Error('--seconds and --seed are numbers');
  console.log(`seed ${seed}, ${targets.length} targets, ${seconds} s`);
  const findings: string[] = [];
  let total = 0;
  for (const { name } of targets) {
    const durationMs = (1000 * seconds) / targets.length;
    const { executions, corpusSize, finding } = await superviseCampaign({ name, seed, durationMs });
    total += executions;
    const verdict = finding === undefined ? '' : '  FOUND';
    console.log(`${name.padEnd(22)}${String(executions).padStart(9)} inputs, corpus ${corpusSize}${verdict}`);
    if (finding !== undefined) findings.push(await saveReproducer(name, seed, finding));
  }
  console.log(`${total} inputs, ${findings.length} findings`);
  for (const finding of findings) console.error(finding);
  process.exitCode = findings.length === 0 ? 0 : 1;
}

async function tryAgain(path: string): Promise<void> {
  const input = await readFile(path);
  for (const target of targets) {
    const what = await examine(await target.prepare(), input);
    console.log(`${target.name}: ${what ?? 'nothing is wrong'}`);
    if (what !== undefined) process.exitCode = 1;
  }
}
