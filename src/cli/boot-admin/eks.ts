import type { Command } from 'commander';
import { CliError } from './cli-error.ts';
import { readEkFile } from './ek-files.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, printRows, printSentence } from './output.ts';
import { type Column, printable } from './table.ts';

export function register(ek: Command): void {
  ek.command('import')
    .argument('<files...>', 'EK certificates (PEM or DER), or text files of fingerprints in hex')
    .requiredOption('--channel <name>', 'the channel their nodes get releases from')
    .option('--replace', 'move those that are listed for another channel')
    .description('let these machines enrol by themselves')
    .action((files: string[], _options, command: Command) => importEks(command.optsWithGlobals(), files));
  ek.command('list')
    .description('what was imported')
    .action((_options, command: Command) => listEks(command.optsWithGlobals()));
}

const EK_COLUMNS: readonly Column[] = [
  ['EK FINGERPRINT', (ek) => ek.fingerprint],
  ['CHANNEL', (ek) => ek.channel],
  ['COMMENT', (ek) => ek.comment],
];

async function importEks(
  options: Options & { channel: string; replace?: true },
  files: readonly string[],
): Promise<void> {
  const { channel, replace } = options;
  const entries = (await Promise.all(files.map(readEkFile))).flat();
  if (entries.length === 0) throw new CliError('the files hold no endorsement key');
  const body = {
    channel,
    entries: entries.map(({ fingerprint, comment }) => ({ fingerprint, comment })),
    ...(replace && { replace }),
  };
  const answer = await call(options, { method: 'POST', path: '/admin/v1/eks', body });
  const [added, known, moved, elsewhere] = ['added', 'known', 'moved', 'elsewhere'].map((name) =>
    printable(memberOf(answer, name)),
  );
  const others = [
    ...(moved === '0' ? [] : [`, ${moved} moved from another channel`]),
    ...(elsewhere === '0' ? [] : [`, ${elsewhere} left listed for another channel: --replace moves them`]),
  ];
  const sentence = `${added} imported for ${channel}, ${known} were known already${others.join('')}`;
  await printSentence(options, sentence, answer);
}

async function listEks(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/eks' });
  await printRows(options, EK_COLUMNS, memberOf(answer, 'eks'));
}
