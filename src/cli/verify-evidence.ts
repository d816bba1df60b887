import { createReadStream } from 'node:fs';
import {
  refusalDocument,
  type VerdictDocument,
  verifyEvidenceDocument,
} from '../attestation/evidence/evidence-file.ts';
import { MAX_OVERSIZED_BYTES, NotEvidenceError } from '../attestation/evidence/evidence-json.ts';
import { messageOf } from '../core/errors.ts';
import { readLines } from './bounded-lines.ts';

/** What the command touches of the outside: replaced in tests. */
export interface VerifyEvidenceIo {
  open(file: string): AsyncIterable<Uint8Array>;
  writeOut(text: string): void;
  writeError(text: string): void;
}

export const processIo: VerifyEvidenceIo = {
  open: (file) => (file === '-' ? process.stdin : createReadStream(file)),
  writeOut: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
};

export const EXIT_STATUS = { accept: 0, refuse: 1, hold: 2, unreadable: 64 } as const;

/** Worst first: the exit status of many documents is the first of these that occurred. */
const SEVERITY = [EXIT_STATUS.unreadable, EXIT_STATUS.refuse, EXIT_STATUS.hold, EXIT_STATUS.accept];

/**
 * `boot-admin verify-evidence FILE`: one verdict line and its exit status. With `--jsonl` one document a
 * line in, one verdict line out, and the worst exit status of all lines; no line at all is 64.
 */
export async function runVerifyEvidence(
  options: { file: string; jsonl: boolean },
  io: VerifyEvidenceIo = processIo,
): Promise<number> {
  try {
    return options.jsonl ? await verifyLines(options.file, io) : await verifyOne(options.file, io);
  } catch (cause) {
    io.writeError(`boot-admin: ${options.file}: ${messageOf(cause)}\n`);
    return EXIT_STATUS.unreadable;
  }
}

async function verifyOne(file: string, io: VerifyEvidenceIo): Promise<number> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of io.open(file)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_OVERSIZED_BYTES) break;
  }
  return report(Buffer.concat(chunks), io);
}

async function verifyLines(file: string, io: VerifyEvidenceIo): Promise<number> {
  const seen = new Set<number>();
  for await (const line of readLines(io.open(file), MAX_OVERSIZED_BYTES)) seen.add(report(line, io));
  return SEVERITY.find((status) => seen.has(status)) ?? EXIT_STATUS.unreadable;
}

function report(document: Uint8Array, io: VerifyEvidenceIo): number {
  const { verdict, status } = decide(document);
  io.writeOut(`${JSON.stringify(verdict)}\n`);
  return status;
}

function decide(document: Uint8Array): { verdict: VerdictDocument; status: number } {
  try {
    const verdict = verifyEvidenceDocument(document);
    return { verdict, status: EXIT_STATUS[verdict.verdict] };
  } catch (cause) {
    if (!(cause instanceof NotEvidenceError)) throw cause;
    const verdict = refusalDocument({ code: cause.code, message: cause.message });
    return { verdict, status: EXIT_STATUS.unreadable };
  }
}
