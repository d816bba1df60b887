import { readQuotedLog } from '../attestation/evidence/quoted-log.ts';
import { CodedError } from '../core/errors.ts';
import { CliError } from './boot-admin/cli-error.ts';
import { parseAnyLog } from './eventlog-file.ts';
import { printEventLog, type ShowOptions, viewOf } from './eventlog-show.ts';

/** `boot-admin verdicts log ID`: the log of kept evidence beside its quote. @throws {CliError} */
export async function showQuotedLog(evidence: string, options: ShowOptions): Promise<void> {
  const { bank, untrustedLog, quotedPcrs, fault } = orCliError(() => readQuotedLog(evidence));
  if (untrustedLog === undefined) throw new CliError('the evidence holds no event log');
  const log = orCliError(() => parseAnyLog(untrustedLog));
  const view = viewOf(log, { ...options, bank }, quotedPcrs ?? new Map());
  const about = fault
    ? `its quote does not hold (${fault.code}), so nothing of this log is proven`
    : 'beside the values that its quote answers for';
  await printEventLog(options, view, about);
}

function orCliError<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof CodedError) throw new CliError(`${cause.code}: ${cause.message}`, { cause });
    throw cause;
  }
}
