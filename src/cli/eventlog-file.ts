import type { HashAlgorithm } from '../tpm/algorithms.ts';
import { TpmFormatError } from '../tpm/errors.ts';
import { type EventLog, type EventLogLimits, parseEventLog } from '../tpm/event-log.ts';
import { parseSha1EventLog } from '../tpm/sha1-event-log.ts';

/** A hundred times the longest real log, in a fraction of a second and of a gigabyte. */
const LIMITS: EventLogLimits = { maxBytes: 32 * 1024 * 1024, maxEvents: 262_144 };
const USUAL_BANK = 'sha256';

/**
 * A log in either format: to look into, so also what the verifier takes for no evidence.
 *
 * @throws {TpmFormatError}
 */
export async function readEventLog(chunks: AsyncIterable<Uint8Array>): Promise<EventLog> {
  return parseAnyLog(await readBounded(chunks));
}

/** @throws {TpmFormatError} */
export function parseAnyLog(bytes: Uint8Array): EventLog {
  try {
    return parseEventLog(bytes, LIMITS);
  } catch (cause) {
    if (!(cause instanceof TpmFormatError) || cause.code !== 'log-sha1-format') throw cause;
    return parseSha1EventLog(bytes, LIMITS);
  }
}

/** The bank that was asked for; without one SHA-256, or the last that the log declares. */
export function bankOfLog(log: EventLog, name: string | undefined): HashAlgorithm | undefined {
  const named = log.hashes.find((hash) => hash.name === (name ?? USUAL_BANK));
  return named ?? (name === undefined ? log.hashes.at(-1) : undefined);
}

/** One byte past the limit is enough for the parser to refuse. */
async function readBounded(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > LIMITS.maxBytes) break;
  }
  return Buffer.concat(parts);
}
