import { type Command, Option } from 'commander';
import { createBackup } from '../../boot-server/backup/create-backup.ts';
import { newEncryption } from '../../boot-server/backup/encryption.ts';
import { CodedError } from '../../core/errors.ts';
import { readNewPassphrase } from '../boot-sign/passphrase.ts';
import { UsageError } from '../boot-sign/usage-error.ts';
import { CliError } from './cli-error.ts';
import { type Options, printSentence } from './output.ts';

interface BackupOptions extends Options {
  readonly dataDir: string;
  readonly artifacts?: true;
  readonly passphraseFile?: string;
}

export function register(backup: Command): void {
  backup
    .argument('<file>', 'the file to make; one that is there stays')
    .addOption(dataDirOption())
    .option('--artifacts', 'also kernels, initramfs, manifests and stage-0 images')
    .option('--passphrase-file <file>', 'encrypt it, and put the private keys into it')
    .action((file: string, _options, command: Command) =>
      withCodes(() => makeBackup(file, command.optsWithGlobals())),
    );
}

export function dataDirOption(): Option {
  return new Option('--data-dir <folder>', "the server's dataDir").default('bootward-data');
}

/** What can be acted on is a message, not a fault of the program. */
export async function withCodes(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (cause instanceof CodedError) throw new CliError(`${cause.code}: ${cause.message}`, { cause });
    if (cause instanceof UsageError) throw new CliError(cause.message, { cause });
    throw cause;
  }
}

async function makeBackup(file: string, options: BackupOptions): Promise<void> {
  const { dataDir, passphraseFile } = options;
  const lock = passphraseFile !== undefined && {
    lock: { passphrase: await readNewPassphrase({ passphraseFile }), encryption: newEncryption() },
  };
  const report = await createBackup({ dataDir, file, artifacts: options.artifacts === true, ...lock });
  const { entries, encrypted } = report;
  const megabytes = Math.ceil(entries.reduce((sum, { length }) => sum + length, 0) / 1_000_000);
  const sentence = [
    `${report.file}: ${entries.length} files, ${megabytes} MB, read back and good`,
    encrypted
      ? 'encrypted, with the private keys: keep the passphrase elsewhere'
      : 'not encrypted, so without grant.key and tls/: who holds it can read and alter what it says of nodes',
  ].join('\n');
  const json = { file: report.file, encrypted, entries: entries.map((entry) => ({ ...entry })) };
  await printSentence(options, sentence, json);
}
