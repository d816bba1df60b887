import type { Command } from 'commander';
import { runEventLogReplay } from '../eventlog-replay.ts';

/** Offline. */
export function register(eventlog: Command): void {
  eventlog
    .command('replay')
    .argument('<file>', 'a binary event log, or - for standard input')
    .description('print the PCR values that a log replays to, for every bank')
    .action(async (file: string) => {
      process.exitCode = await runEventLogReplay({ file });
    });
}
