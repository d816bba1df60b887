import { encodePcrBank } from '../attestation/quote/pcr-values.ts';
import { messageOf } from '../core/errors.ts';
import { TpmFormatError } from '../tpm/errors.ts';
import { type EventLog, type EventLogLimits, parseEventLog } from '../tpm/event-log.ts';
import { replayEventLog } from '../tpm/event-log-replay.ts';
import { parseSha1EventLog } from '../tpm/sha1-event-log.ts';
import { processIo, type VerifyEvidenceIo } from './verify-evidence.ts';

/** A hundred times the longest real log, in a fraction of a second and of a gigabyte. */
const LIMITS: EventLogLimits = { maxBytes: 32 * 1024 * 1024, maxEvents: 262_144 };
const EXIT_OK = 0;
const EXIT_REFUSED = 1;
const EXIT_UNREADABLE = 64;

/** `boot-admin eventlog replay FILE`: `{"banks": {"sha256": {"0": hex}}}`, or the reason on standard error. */
export async function runEventLogReplay(
  options: { file: string },
  io: VerifyEvidenceIo = processIo,
): Promise<number> {
  try {
    const banks = replayEventLog(parseAnyLog(await readLog(io.open(options.file))));
    io.writeOut(`${JSON.stringify({ banks: Object.fromEntries([...banks].map(encodeBank)) })}\n`);
    return EXIT_OK;
  } catch (cause) {
    const isFormat = cause instanceof TpmFormatError;
    io.writeError(`boot-admin: ${options.file}: ${isFormat ? `${cause.code}: ` : ''}${messageOf(cause)}\n`);
    return isFormat ? EXIT_REFUSED : EXIT_UNREADABLE;
  }
}

function parseAnyLog(bytes: Uint8Array): EventLog {
  try {
    return parseEventLog(bytes, LIMITS);
  } catch (cause) {
    if (!(cause instanceof TpmFormatError) || cause.code !== 'log-sha1-format') throw cause;
    return parseSha1EventLog(bytes, LIMITS);
  }
}

const encodeBank = ([bank, pcrs]: [string, ReadonlyMap<number, Uint8Array>]) => [bank, encodePcrBank(pcrs)];

/** One byte past the limit is enough for the parser to refuse. */
async function readLog(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > LIMITS.maxBytes) break;
  }
  return Buffer.concat(parts);
}
