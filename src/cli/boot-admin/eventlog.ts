import type { Command } from 'commander';
import { runEventLogReplay } from '../eventlog-replay.ts';
import { type ShowOptions, showEventLogFile } from '../eventlog-show.ts';

/** Offline. */
export function register(eventlog: Command): void {
  eventlog
    .command('replay')
    .argument('<file>', 'a binary event log, or - for standard input')
    .description('print the PCR values that a log replays to, for every bank')
    .action(async (file: string) => {
      process.exitCode = await runEventLogReplay({ file });
    });
  eventlog
    .command('show')
    .argument('<file>', 'a binary event log, or - for standard input')
    .option('--pcr <numbers>', 'only these PCRs, as in 4,7')
    .option('--bank <name>', 'the digests of this bank (default: sha256, or what the log has)')
    .description('print the events of a log, and what of each could be proven')
    .action((file: string, _options, command: Command) =>
      showEventLogFile(file, command.optsWithGlobals<ShowOptions>()),
    );
}
