import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { type AuditHead, type VerifiedAuditLog, verifyAuditLog } from '../../boot-signer/audit/audit-log.ts';
import { CodedError } from '../../core/errors.ts';
import { type CommandContext, printResult } from './command.ts';
import { createServiceCommand, type ServiceCommandOptions } from './service-command.ts';
import { addressOf } from './service-options.ts';
import { fetchAuditLog } from './signing-service-client.ts';

/** The log is whole, and not the one that was seen before. */
export class AuditHeadError extends CodedError<'audit-head-missing'> {}

interface AuditOptions extends ServiceCommandOptions {
  readonly file?: string;
  readonly head?: AuditHead;
}

/** All that a signing service was asked and has signed. */
export function createAuditCommand(context: CommandContext): Command {
  const withFile = (command: Command): Command =>
    command.option('--file <FILE>', 'a copy of the log, instead of asking the service');
  return new Command('audit')
    .description('what the signing service was asked and has signed')
    .addCommand(
      withFile(createServiceCommand('verify', 'no record is missing, changed or moved'))
        .option(
          '--head <SEQ:SHA256>',
          'the head that was printed before: it must still be in the log',
          toHead,
        )
        .action((options: AuditOptions) => verify(context, options)),
    )
    .addCommand(
      withFile(createServiceCommand('show', 'each record')).action((options: AuditOptions) =>
        show(context, options),
      ),
    );
}

async function verify(context: CommandContext, options: AuditOptions): Promise<void> {
  const log = verifyAuditLog(await readLog(options));
  if (options.head !== undefined) requireHead(log, options.head);
  const { head, tornBytes } = log;
  const torn =
    tornBytes > 0
      ? [`${tornBytes} bytes behind it are of a record that is being written, or was cut short`]
      : [];
  await printResult(context, options, {
    lines: [`${head.seq} records, each follows the one before`, `head ${head.seq}:${head.sha256}`, ...torn],
    json: { records: head.seq, head: { ...head }, tornBytes },
  });
}

async function show(context: CommandContext, options: AuditOptions): Promise<void> {
  const { records } = verifyAuditLog(await readLog(options));
  await printResult(context, options, {
    lines: records.map(({ seq, time, event }) => `${seq}  ${time}  ${JSON.stringify(event)}`),
    json: { records: records.map((record) => ({ ...record })) },
  });
}

async function readLog(options: AuditOptions): Promise<Uint8Array> {
  return options.file === undefined ? fetchAuditLog(await addressOf(options)) : readFile(options.file);
}

/** @throws {AuditHeadError} when the log was cut, or written anew from an earlier record on */
function requireHead({ records, head }: VerifiedAuditLog, known: AuditHead): void {
  const found = known.seq === head.seq ? head.sha256 : records[known.seq]?.previous;
  if (found === known.sha256) return;
  throw new AuditHeadError(
    'audit-head-missing',
    `the log has not the record ${known.seq} that was seen before: it was cut or written anew`,
  );
}

function toHead(text: string): AuditHead {
  const [, seq = '', sha256 = ''] = /^([1-9][0-9]{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (sha256 === '') throw new InvalidArgumentError('It is SEQ:SHA256, as `audit verify` prints it.');
  return { seq: Number(seq), sha256 };
}
