import { type Command, InvalidArgumentError } from 'commander';
import { call } from './operators-client.ts';
import { memberOf, type Options, print, printDocument, printRows, printSentence } from './output.ts';
import { type Column, formatTime, printable } from './table.ts';

const SECONDS: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };
const DEFAULT_VALID = '24h';

export function register(tokens: Command): void {
  tokens
    .command('create')
    .requiredOption('--channel <name>', 'the channel that its machine gets releases from')
    .option(
      '--valid <time>',
      'how long it may be used: 30m, 24h or 7d',
      parseDuration,
      parseDuration(DEFAULT_VALID),
    )
    .option('--comment <text>', 'what it is for; kept beside it', '')
    .description('print a permission for one machine to enrol by itself, once; it is shown here only')
    .action((_options, command: Command) => createToken(command.optsWithGlobals()));
  tokens
    .command('list')
    .description('which there are, which were used and by which node')
    .action((_options, command: Command) => listTokens(command.optsWithGlobals()));
  tokens
    .command('withdraw')
    .argument('<token>', 'its id in the list')
    .description('let nobody use it')
    .action((id: string, _options, command: Command) => withdrawToken(command.optsWithGlobals(), id));
}

const COLUMNS: readonly Column[] = [
  ['TOKEN', (token) => token.id],
  ['STATE', (token) => token.state],
  ['CHANNEL', (token) => token.channel],
  ['EXPIRES', (token) => formatTime(token.expiresAt)],
  ['USED BY', (token) => token.usedBy],
  ['COMMENT', (token) => token.comment],
];

/** The text alone on a line, so that a script can take it. */
async function createToken(
  options: Options & { channel: string; valid: number; comment: string },
): Promise<void> {
  const { channel, valid: validSeconds, comment } = options;
  const body = { channel, validSeconds, comment };
  const answer = await call(options, { method: 'POST', path: '/admin/v1/tokens', body });
  if (options.output === 'table') print(printable(memberOf(answer, 'token')));
  else await printDocument(options, answer);
}

async function listTokens(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/tokens' });
  await printRows(options, COLUMNS, memberOf(answer, 'tokens'));
}

async function withdrawToken(options: Options, id: string): Promise<void> {
  const answer = await call(options, {
    method: 'DELETE',
    path: `/admin/v1/tokens/${encodeURIComponent(id)}`,
  });
  await printSentence(options, `${id} is withdrawn`, answer);
}

function parseDuration(text: string): number {
  const [, count, unit] = /^([1-9][0-9]{0,5})([mhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined)
    throw new InvalidArgumentError('expected a number and m, h or d, such as 24h');
  return Number(count) * (SECONDS[unit] ?? 0);
}
