import { bytesEqual } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { TpmFormatError } from '../../tpm/errors.ts';
import { type EventLog, type EventLogLimits, parseEventLog } from '../../tpm/event-log.ts';
import { type PcrBank, replayBank, startValue } from '../../tpm/event-log-replay.ts';
import type { Purpose } from '../quote/purpose.ts';
import { HANDOVER_PCR } from '../quote/purpose-rule.ts';
import type { VerifiedQuote } from '../quote/quote.ts';
import { type Finding, Refusal } from '../reasons.ts';
import { checkEvents } from './event-log-rules.ts';

/** What evidence may carry: a hundred times the longest real log, and a fraction of a second of work. */
export const EVIDENCE_LOG_LIMITS: EventLogLimits = { maxBytes: 16 * 1024 * 1024, maxEvents: 131_072 };

export interface LogAppraisal {
  findings: Finding[];
  replayedPcrs: PcrBank;
  /** Absent when none came, or none that can be read. */
  log?: EventLog;
}

interface Input {
  untrustedLog: Uint8Array | undefined;
  quote: VerifiedQuote;
  hash: HashAlgorithm;
  purpose: Purpose | undefined;
  policy: {
    pcrs: readonly number[];
    eventLog: 'required' | 'optional';
    unloggedPcrs?: readonly number[];
  };
}

const LAST_FIRMWARE_PCR = 7;

/** Does the log explain the quoted values, and is it a log that firmware could have written? */
export function appraiseEventLog(input: Input): LogAppraisal {
  try {
    if (input.untrustedLog === undefined)
      return { findings: absentLog(input.policy), replayedPcrs: new Map() };
    const { log, replayedPcrs } = replay(input.untrustedLog, input.hash);
    const findings = [
      ...checkExtended(input),
      ...compareReplay(input, replayedPcrs),
      ...checkEvents({
        log,
        hash: input.hash,
        quotedPcrs: [...input.quote.pcrs.keys()],
        policyPcrs: input.policy.pcrs,
      }),
    ];
    return { findings, replayedPcrs, log };
  } catch (cause) {
    if (cause instanceof Refusal) return { findings: [cause.finding], replayedPcrs: new Map() };
    throw cause;
  }
}

function absentLog({ eventLog }: Input['policy']): Finding[] {
  return eventLog === 'required'
    ? [{ code: 'event-log-missing', message: 'event log: policy requires it and none came' }]
    : [{ code: 'event-log-absent', message: 'event log: none came; the PCR values are self-reported' }];
}

function replay(untrustedLog: Uint8Array, hash: HashAlgorithm): { log: EventLog; replayedPcrs: PcrBank } {
  try {
    const log = parseEventLog(untrustedLog, EVIDENCE_LOG_LIMITS);
    const replayedPcrs = replayBank(log, hash);
    if (replayedPcrs === undefined)
      throw new Refusal(
        'event-log-bank-missing',
        `event log: expected a digest of bank ${hash.name} for each event, some have none`,
      );
    return { log, replayedPcrs };
  } catch (cause) {
    if (cause instanceof TpmFormatError) throw refusalOf(cause);
    throw cause;
  }
}

function refusalOf(cause: TpmFormatError): Refusal {
  const { message } = cause;
  switch (cause.code) {
    case 'log-too-large':
      return new Refusal('event-log-too-large', message, { cause });
    case 'log-sha1-format':
      return new Refusal('event-log-sha1-format', message, { cause });
    default:
      return new Refusal('event-log-malformed', message, { cause });
  }
}

/** Q60: a bank that nothing ever extended agrees with an empty log; it proves nothing. */
function checkExtended({ quote, hash, policy }: Input): Finding[] {
  const isExtended = [...quote.pcrs].some(
    ([pcr, value]) => policy.pcrs.includes(pcr) && !bytesEqual(value, startValue({ pcr, hash })),
  );
  if (isExtended) return [];
  return [
    {
      code: 'pcrs-not-extended',
      message: `bank ${hash.name}: expected measurements, PCR ${policy.pcrs.join(', ')} hold their start values`,
    },
  ];
}

/**
 * A PCR with events must replay to its quoted value. One without must hold its start value, if policy
 * names it or firmware always measures it. For a purpose, PCR 14 has its own rule ({@link HANDOVER_PCR}):
 * there the log must be silent.
 */
function compareReplay(input: Input, replayedPcrs: PcrBank): Finding[] {
  return [...input.quote.pcrs].flatMap(([pcr, quoted]): Finding[] => {
    const { hash, policy, purpose } = input;
    const replayed = replayedPcrs.get(pcr);
    if (pcr === HANDOVER_PCR && purpose !== undefined)
      return replayed === undefined ? [] : [mismatch({ pcr, quoted, replayed })];
    const expected = replayed ?? startValue({ pcr, hash });
    if (bytesEqual(expected, quoted)) return [];
    if (pcr > LAST_FIRMWARE_PCR && policy.unloggedPcrs?.includes(pcr)) return [unlogged(pcr, quoted)];
    if (replayed !== undefined || policy.pcrs.includes(pcr) || pcr <= LAST_FIRMWARE_PCR)
      return [mismatch({ pcr, quoted, replayed: expected })];
    return [unlogged(pcr, quoted)];
  });
}

function unlogged(pcr: number, quoted: Uint8Array): Finding {
  return {
    code: 'pcr-not-logged',
    message: `PCR ${pcr}: extended to ${shortHex(quoted)}, the event log does not say by what`,
  };
}

function mismatch(given: { pcr: number; quoted: Uint8Array; replayed: Uint8Array }): Finding {
  const { pcr, quoted, replayed } = given;
  return {
    code: 'event-log-replay-mismatch',
    message: `PCR ${pcr}: the quote says ${shortHex(quoted)}, the event log gives ${shortHex(replayed)}`,
  };
}
