import { messageOf } from './errors.ts';
import { toPrintable, toPrintableLines } from './printable.ts';

/** Of the environment: 1 has errors that nobody foresaw printed with their stack. */
export const DEBUG_VARIABLE = 'BOOTWARD_DEBUG';

const MAX_STACK_LENGTH = 16_384;

/** One line, and how to learn more; with {@link DEBUG_VARIABLE} the stack. Drives no terminal either way. */
export function describeUnknownError(error: unknown, environment: NodeJS.ProcessEnv): string {
  if (environment[DEBUG_VARIABLE] === '1' && error instanceof Error && error.stack !== undefined)
    return toPrintableLines(error.stack, MAX_STACK_LENGTH);
  return `${toPrintable(messageOf(error))} (${DEBUG_VARIABLE}=1 shows where)`;
}
