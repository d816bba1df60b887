import { encodePcrBank } from '../attestation/quote/pcr-values.ts';
import { messageOf } from '../core/errors.ts';
import { TpmFormatError } from '../tpm/errors.ts';
import { replayEventLog } from '../tpm/event-log-replay.ts';
import { readEventLog } from './eventlog-file.ts';
import { processIo, type VerifyEvidenceIo } from './verify-evidence.ts';

const EXIT_OK = 0;
const EXIT_REFUSED = 1;
const EXIT_UNREADABLE = 64;

/** `boot-admin eventlog replay FILE`: `{"banks": {"sha256": {"0": hex}}}`, or the reason on standard error. */
export async function runEventLogReplay(
  options: { file: string },
  io: VerifyEvidenceIo = processIo,
): Promise<number> {
  try {
    const banks = replayEventLog(await readEventLog(io.open(options.file)));
    io.writeOut(`${JSON.stringify({ banks: Object.fromEntries([...banks].map(encodeBank)) })}\n`);
    return EXIT_OK;
  } catch (cause) {
    const isFormat = cause instanceof TpmFormatError;
    io.writeError(`boot-admin: ${options.file}: ${isFormat ? `${cause.code}: ` : ''}${messageOf(cause)}\n`);
    return isFormat ? EXIT_REFUSED : EXIT_UNREADABLE;
  }
}

const encodeBank = ([bank, pcrs]: [string, ReadonlyMap<number, Uint8Array>]) => [bank, encodePcrBank(pcrs)];
