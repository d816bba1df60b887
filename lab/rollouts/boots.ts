import type { Stage } from '../demo/step.ts';
import { bannerOf, watchUntilOff } from '../demo/watch-boot.ts';
import type { SoftwareTpm } from '../software-tpm.ts';

/** What a machine's console said of one power-on, which may be several boots. */
export interface Watched {
  lines: readonly string[];
  /** Of every boot, in their order. */
  releases: readonly string[];
}

const ANY_BANNER = /BOOTWARD-DEMO release (.*) running/;

/** Until it switches itself off. */
export async function bootUntilOff(
  stage: Stage,
  setup: { name: string; tpm: SoftwareTpm; port?: number; allowReboot?: boolean },
): Promise<Watched> {
  const machine = await stage.world.startMachine(setup);
  stage.say(setup.name, 'power on');
  return watched(await watchUntilOff(stage, machine));
}

export function watched(lines: readonly string[]): Watched {
  return { lines, releases: lines.flatMap((line) => ANY_BANNER.exec(line)?.[1] ?? []) };
}

/** The last marker of this step, without what comes before it. */
export function lastStep({ lines }: Watched, step: string): string {
  const line = lines.findLast((each) => each.includes(`step=${step} `) || each.endsWith(`step=${step}`));
  return line === undefined ? `no ${step}` : line.replace(/^.*step=/, '');
}

export function says({ lines }: Watched, pattern: RegExp): string | undefined {
  return lines.find((line) => pattern.test(line));
}

/** The release runs, its checks are well, and its floor stands. */
export function checkHealthyBoot(stage: Stage, on: { name: string; release: string; seen: Watched }): void {
  const { name, release, seen } = on;
  stage.check({
    claim: `${name} runs ${release}`,
    ok: says(seen, bannerOf(release)) !== undefined,
    observed: seen.releases.join(', ') || seen.lines.slice(-3).join(' | '),
  });
  const health = says(seen, /BOOTWARD-DEMO health: /) ?? 'it said nothing of its health';
  stage.check({
    claim: `${name} proves from its running system that it is healthy, with its floor locked`,
    ok: /: accepted: health/.test(health),
    observed: health.replace(/^.*BOOTWARD-DEMO /, ''),
  });
}
