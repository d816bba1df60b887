import { approve, type FloorKey } from './floor-lab.ts';
import type { ScriptedLab } from './scripted-lab.ts';
import type { WorldChanges } from './signed-world.ts';
import { commandCode, tapTpm } from './tpm-tap.ts';

/** What changes the TPM when a floor is kept (TPM_CC, Part 2, 6.5.2). */
const COMMAND_CODES = {
  NV_DefineSpace: 0x12a,
  NV_Write: 0x137,
  NV_WriteLock: 0x138,
  PCR_Extend: 0x182,
} as const;
export type FloorCommand = keyof typeof COMMAND_CODES;
export const FLOOR_COMMANDS = Object.keys(COMMAND_CODES) as FloorCommand[];

interface Cut {
  key: FloorKey;
  world: WorldChanges;
  /** The first of these that the agent sends. */
  command: FloorCommand;
  /** Whether the TPM carries it out before everything is dark. */
  fate: 'lost' | 'kept';
}

/** A boot that is killed, poison and all, when its TPM gets one command; the TPM's reset is the caller's. */
export async function cutPower(lab: ScriptedLab, { key, world, command, fate }: Cut): Promise<void> {
  const isCut = (bytes: Buffer) => commandCode(bytes) === COMMAND_CODES[command];
  const wire = await tapTpm(lab.tpm, {
    folder: lab.folder,
    judge: (bytes) => (isCut(bytes) ? fate : 'passed'),
  });
  const { agent, server } = await lab.start({
    world,
    settings: { floor: key.baked },
    lies: { approval: approve(key) },
    tcti: wire.tcti,
  });
  await Promise.race([wire.reached, agent.ended]);
  agent.signal('SIGKILL');
  // A tool that waits for its TPM holds the agent's console open.
  await wire.close();
  const { status } = await agent.ended;
  await server.close();
  if (status !== null) throw new Error(`the agent ended by itself, with ${status}: ${agent.console()}`);
}
