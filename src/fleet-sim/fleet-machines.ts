import { setTimeout as delay } from 'node:timers/promises';
import type { Behaviour } from './behaviour.ts';
import type { Chip } from './chip/chip.ts';
import { createMachine, type Machine } from './machine.ts';
import { type AgentsDoor, VirtualNode } from './virtual-node.ts';

/** 2026-01-01: what boots are counted from. */
const EPOCH_MS = 1_767_225_600_000;
const TICK_MS = 100;

/**
 * Machines of these chips that start this stage-0. A chip's reset count may never go back, also from one run of the
 * simulation to the next, and is written down nowhere: it begins at the time of day in ticks, and a run ends when that
 * time is past its last one ({@link restUntilCounted}).
 */
export async function createMachines(on: {
  chips: readonly Chip[];
  behaviours: readonly Behaviour[];
  door: AgentsDoor;
  /** What firmware logs while it starts the stage-0, and that one's build. */
  stage0: { eventLog: Uint8Array; build: number };
  nowMs: number;
}): Promise<Machine[]> {
  const { door, stage0, nowMs } = on;
  const resetCount = Math.floor((nowMs - EPOCH_MS) / TICK_MS);
  return Promise.all(
    on.chips.map(async ({ ek, ak }, index) => {
      const node = await VirtualNode.create({
        door,
        ek,
        eventLog: stage0.eventLog,
        stage0Build: stage0.build,
      });
      node.close();
      node.ak = ak;
      node.clockInfo.resetCount = resetCount;
      return createMachine(node, on.behaviours[index] ?? { kind: 'healthy' });
    }),
  );
}

/** Boots that came faster than ticks are ahead of the time of day. */
export async function restUntilCounted(machines: readonly Machine[]): Promise<void> {
  const highest = Math.max(...machines.map(({ node }) => node.clockInfo.resetCount));
  await delay(Math.max(0, EPOCH_MS + highest * TICK_MS - Date.now()));
}
