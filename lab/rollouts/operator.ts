import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../src/core/strict-json.ts';
import type { Stage } from '../demo/step.ts';
import { LabError } from '../lab-error.ts';
import type { World } from '../world.ts';

const MAX_BYTES = 1024 * 1024;
const ROLLOUT_SECONDS = 60;

/** What `boot-admin` says, for a program. */
export async function ask(world: World, ...command: string[]): Promise<JsonObject> {
  const value = parseStrictJson(await world.admin('-o', 'json', ...command), { maxBytes: MAX_BYTES });
  if (!isJsonObject(value))
    throw new LabError('command-failed', `boot-admin ${command.join(' ')}: no object`);
  return value;
}

/** One step, at once, with a budget of one node. */
export async function startRollout({ world, say }: Stage, channel: string, version: number): Promise<void> {
  const plan = ['--step', '100%', '--soak', '0', '--budget', '1'];
  say('boot-admin', (await world.admin('rollout', 'start', channel, String(version), ...plan)).trim());
}

/** The rollout's whole status once it is in this state, as an operator reads it. */
export async function waitForRollout(world: World, channel: string, state: string): Promise<JsonObject> {
  const deadline = performance.now() + ROLLOUT_SECONDS * 1000;
  for (;;) {
    const status = await ask(world, 'rollout', 'status', channel);
    if (status.state === state) return status;
    if (performance.now() > deadline)
      throw new LabError(
        'wait-timeout',
        `the rollout in ${channel} is ${String(status.state)}, not ${state}, after ${ROLLOUT_SECONDS} s`,
      );
    await delay(500);
  }
}

/** The status as `boot-admin rollout status` prints it, onto the timeline. */
export async function showRollout({ world, say }: Stage, channel: string): Promise<void> {
  for (const line of (await world.admin('rollout', 'status', channel)).trimEnd().split('\n'))
    say('boot-admin', line);
}
