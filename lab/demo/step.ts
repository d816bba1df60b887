import type { Cleanup } from '../cleanup.ts';
import type { SoftwareTpm } from '../software-tpm.ts';
import type { Published, World } from '../world.ts';

/** Something that must be so, and what was seen. */
export interface Check {
  claim: string;
  ok: boolean;
  /** From the serial console, a tool's answer or the server's records; never from what the step expects. */
  observed: string;
}

export interface Stage {
  world: World;
  published: Published;
  cleanup: Cleanup;
  /** The chip of the first machine, and of a second one by the same manufacturer. */
  tpms: { first: SoftwareTpm; second: SoftwareTpm };
  /** Serves the listed stage-0 while the real server is down. */
  openFirmwareDoor(): Promise<{ port: number }>;
  /** A line of the timeline; `seconds` since the machine's power-on. */
  say(who: string, text: string, seconds?: number): void;
  check(check: Check): void;
  /** How long a machine that boots alone took to get somewhere, in seconds since its power-on. */
  timing(name: string, seconds: number): void;
}

export interface Step {
  title: string;
  run(stage: Stage): Promise<void>;
}
