import type { Command } from 'commander';
import { type RestoreReport, restoreBackup } from '../../boot-server/backup/restore-backup.ts';
import { systemClock } from '../../core/clock.ts';
import { readPassphrase } from '../boot-sign/passphrase.ts';
import { dataDirOption, withCodes } from './backup.ts';
import { type Options, printSentence } from './output.ts';

interface RestoreOptions extends Options {
  readonly dataDir: string;
  readonly servedFloor?: string;
  readonly publishLater?: true;
  readonly passphraseFile?: string;
}

export function register(restore: Command): void {
  restore
    .argument('<file>', 'what boot-admin backup made')
    .addOption(dataDirOption())
    .option('--served-floor <file>', 'a served-floor.json that was kept elsewhere')
    .option(
      '--publish-later',
      'also when it is older than what was served: nothing is served until you publish',
    )
    .option('--passphrase-file <file>', 'opens an encrypted backup')
    .action((file: string, _options, command: Command) =>
      withCodes(() => runRestore(file, command.optsWithGlobals())),
    );
}

async function runRestore(file: string, options: RestoreOptions): Promise<void> {
  const { dataDir, servedFloor, passphraseFile } = options;
  const report = await restoreBackup({
    file,
    dataDir,
    passphrase: () => readPassphrase(passphraseFile === undefined ? {} : { passphraseFile }),
    publishLater: options.publishLater === true,
    nowMs: systemClock.nowMs(),
    ...(servedFloor !== undefined && { servedFloor }),
  });
  const { entries, voided, keptRoots, olderThanServed } = report;
  await printSentence(options, describe(report), {
    entries: [...entries],
    voided: { ...voided },
    keptRoots: [...keptRoots],
    ...(olderThanServed !== undefined && { olderThanServed }),
  });
}

function describe({ entries, voided, keptRoots, olderThanServed }: RestoreReport): string {
  const { challenges, grants, enrolments, tokens, keyChanges, rollouts, openBoots, sessions } = voided;
  const lines = [
    `restored ${entries.length} files`,
    `what works once is void: ${challenges} challenges, ${grants} open grants closed, ${enrolments} enrolments, ${tokens} unused tokens, ${keyChanges} permissions for a new AK`,
    `what was under way has stopped: ${rollouts} open rollouts paused, ${openBoots} open boots closed, ${sessions} sessions ended`,
    'revoke again what was revoked since the backup was made',
  ];
  if (keptRoots.length > 0) lines.push(`still trusted: ${keptRoots.join(', ')} of the state that was there`);
  if (!entries.includes('grant.key'))
    lines.push('keys were not in it: those of the folder stay, or new ones are made');
  if (olderThanServed !== undefined)
    lines.push(
      `older than what was served (${olderThanServed}): publish the current metadata, before that nothing is served`,
    );
  return lines.join('\n');
}
