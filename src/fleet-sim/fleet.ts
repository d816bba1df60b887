import { messageOf } from '../core/errors.ts';
import type { Machine, PowerLimits, PowerOn } from './machine.ts';

export interface FleetLimits extends PowerLimits {
  /** How many machines are between power-on and their report at one time. */
  readonly concurrency: number;
}

/** One machine's turn; `broken` when what it got was no answer of the protocol. */
export type Turn = { readonly machine: Machine } & (
  | { readonly kind: 'done'; readonly powerOn: PowerOn }
  | { readonly kind: 'broken'; readonly fault: string }
);

/**
 * Switches each of these on once, in their order. A fault of one machine is its turn's, and the others go on; after an
 * abort no further one is switched on.
 */
export async function powerOnAll(
  machines: readonly Machine[],
  { concurrency, ...limits }: FleetLimits,
): Promise<Turn[]> {
  const waiting = [...machines];
  const turns: Turn[] = [];
  const worker = async (): Promise<void> => {
    while (limits.signal?.aborted !== true) {
      const machine = waiting.shift();
      if (machine === undefined) return;
      turns.push(await takeTurn(machine, limits));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return turns;
}

async function takeTurn(machine: Machine, limits: PowerLimits): Promise<Turn> {
  try {
    return { kind: 'done', machine, powerOn: await machine.powerOn(limits) };
  } catch (cause) {
    return { kind: 'broken', machine, fault: messageOf(cause) };
  }
}
