import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { mixBehaviours } from './behaviour.ts';
import { logOfStage0 } from './firmware/stage0-log.ts';
import { powerOnAll, type Turn } from './fleet.ts';
import { loadChips } from './fleet-folder.ts';
import { createMachines, restUntilCounted } from './fleet-machines.ts';
import { type FleetReport, reportOf } from './fleet-report.ts';
import { MAX_SECONDS, type RunOptions, toAddress, toCount, toMixture } from './run-options.ts';

const MAX_WAVES = 1000;
const MAX_CONCURRENCY = 256;
/** Of one machine in one wave: more than any server's tries in two slots. */
const MAX_BOOTS_IN_A_ROW = 12;

/**
 * Switches on the whole fleet, again and again: in each wave every machine once. It ends after its last wave or its
 * last second, whichever comes first.
 *
 * @throws {FleetError}
 */
export async function runFleet(folder: string, options: RunOptions): Promise<FleetReport> {
  const count = (name: string, text: string, to: number, from = 1) => toCount(name, text, { from, to });
  const seconds = count('seconds', options.seconds, MAX_SECONDS);
  const waves = count('waves', options.waves, MAX_WAVES);
  const restSeconds = count('rest-seconds', options.restSeconds, MAX_SECONDS, 0);
  const concurrency = count('concurrency', options.concurrency, MAX_CONCURRENCY);
  const machines = await loadMachines(folder, options);
  const signal = AbortSignal.timeout(seconds * 1000);
  const limits = {
    concurrency,
    signal,
    maxBoots: MAX_BOOTS_IN_A_ROW,
    downloads: options.downloads === true,
  };
  const startedAt = performance.now();
  const turns: Turn[] = [];
  for (let wave = 0; wave < waves && !signal.aborted; wave += 1) {
    if (wave > 0) await delay(restSeconds * 1000, undefined, { signal }).catch(() => undefined);
    turns.push(...(await powerOnAll(machines, limits)));
  }
  const report = reportOf(turns, (performance.now() - startedAt) / 1000);
  await restUntilCounted(machines);
  return report;
}

async function loadMachines(folder: string, options: RunOptions) {
  const chips = await loadChips(folder);
  const mixture = toMixture(options, chips.length);
  return createMachines({
    chips: chips.slice(0, mixture.nodes),
    behaviours: mixBehaviours(mixture),
    door: { ...toAddress(options.url), ca: await readFile(options.ca, 'utf8') },
    stage0: {
      eventLog: logOfStage0(await readFile(options.stage0)),
      build: toCount('build', options.build, { from: 1, to: 9_999_999 }),
    },
    nowMs: Date.now(),
  });
}
