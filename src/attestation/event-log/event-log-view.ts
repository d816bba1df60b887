import { bytesEqual, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { toPrintable } from '../../core/printable.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { TpmFormatError } from '../../tpm/errors.ts';
import type { EventLog, LogEvent } from '../../tpm/event-log.ts';
import { type PcrBank, replayBank, startValue } from '../../tpm/event-log-replay.ts';
import { EVENT_TYPE, eventTypeName } from '../../tpm/event-types.ts';
import { standingOfData } from './event-data.ts';
import { describeEvent } from './event-description.ts';

/**
 * What can be believed of an event. `data`: its digest was extended and covers what the event says. `digest`:
 * something with this digest was extended, and what it was is hearsay. `nothing`: anybody could have written
 * it, for no quoted PCR value answers for it.
 */
export type Proof = 'data' | 'digest' | 'nothing';

export interface EventView {
  /** From 1, as it stands in the log. */
  number: number;
  pcr: number;
  type: string;
  /** Hex, of the bank looked at. */
  digest?: string;
  /** Printable and short. */
  description: string;
  proven: Proof;
  /** The digest covers data of this type, but not this data: somebody wrote other data beside it. */
  contradicted: boolean;
}

/**
 * `agrees`: the log replays to the quoted value. `differs`: it does not. `not-logged`: the quoted PCR was
 * extended and the log has no event of it. `not-quoted`: no value came to hold the log against.
 */
export type PcrStanding = 'agrees' | 'differs' | 'not-logged' | 'not-quoted';

export interface PcrView {
  pcr: number;
  /** Hex; absent when the log does not cover the bank completely. */
  replayed?: string;
  quoted?: string;
  standing: PcrStanding;
}

export interface EventLogView {
  bank: string;
  pcrs: PcrView[];
  events: EventView[];
  /** Events that were not put into the view, because it would become too long. */
  omitted: number;
  /** Why the log replays to nothing. */
  problem?: string;
}

/** Ten times the longest real log. */
const MAX_EVENTS = 4096;

/**
 * A log for people. Without quoted values what is proven is what a quote that agrees with the log would prove.
 */
export function viewEventLog(given: {
  log: EventLog;
  hash: HashAlgorithm;
  /** Of that bank, from a quote whose signature holds. */
  quotedPcrs?: ReadonlyMap<number, Uint8Array> | undefined;
  /** To show only these. */
  pcrs?: readonly number[] | undefined;
}): EventLogView {
  const { log, hash, pcrs } = given;
  const { replayed, problem } = replay(log, hash);
  const standings = standingsOf({ ...given, replayed });
  const isShown = ({ pcr }: { pcr: number }) => pcrs === undefined || pcrs.includes(pcr);
  const provable = provablePcrs(standings, given.quotedPcrs !== undefined);
  const shown = log.events
    .map((event, index) => ({ event, pcr: event.pcr, number: index + 1 }))
    .filter(isShown);
  return {
    bank: hash.name,
    pcrs: standings.filter(isShown),
    events: shown.slice(0, MAX_EVENTS).map(({ event, number }) => ({
      number,
      ...viewEvent(event, { log, hash, isProvable: provable.has(event.pcr) }),
    })),
    omitted: Math.max(0, shown.length - MAX_EVENTS),
    ...(problem !== undefined && { problem }),
  };
}

function replay(log: EventLog, hash: HashAlgorithm): { replayed?: PcrBank; problem?: string } {
  try {
    const replayed = replayBank(log, hash);
    if (replayed !== undefined) return { replayed };
    return { problem: `not every event has a digest of bank ${hash.name}` };
  } catch (cause) {
    if (cause instanceof TpmFormatError) return { problem: toPrintable(messageOf(cause)) };
    throw cause;
  }
}

function standingsOf(given: {
  hash: HashAlgorithm;
  quotedPcrs?: ReadonlyMap<number, Uint8Array> | undefined;
  replayed: PcrBank | undefined;
}): PcrView[] {
  const { hash, quotedPcrs, replayed } = given;
  const pcrs = new Set([...(replayed?.keys() ?? []), ...(quotedPcrs?.keys() ?? [])]);
  return [...pcrs]
    .sort((a, b) => a - b)
    .map((pcr) => {
      const value = replayed && (replayed.get(pcr) ?? startValue({ pcr, hash }));
      const quoted = quotedPcrs?.get(pcr);
      return {
        pcr,
        ...(value && { replayed: toHex(value) }),
        ...(quoted && { quoted: toHex(quoted) }),
        standing: standingOf({ value, quoted, isLogged: replayed?.has(pcr) === true }),
      };
    });
}

function standingOf(given: {
  value: Uint8Array | undefined;
  quoted: Uint8Array | undefined;
  isLogged: boolean;
}): PcrStanding {
  const { value, quoted, isLogged } = given;
  if (quoted === undefined) return 'not-quoted';
  if (value !== undefined && bytesEqual(value, quoted)) return 'agrees';
  return isLogged || value === undefined ? 'differs' : 'not-logged';
}

function provablePcrs(standings: readonly PcrView[], isQuoted: boolean): ReadonlySet<number> {
  const proven = standings.filter(({ standing }) => standing === (isQuoted ? 'agrees' : 'not-quoted'));
  return new Set(proven.map(({ pcr }) => pcr));
}

function viewEvent(
  event: LogEvent,
  given: { log: EventLog; hash: HashAlgorithm; isProvable: boolean },
): Omit<EventView, 'number'> {
  const digest = event.digests[given.log.hashes.indexOf(given.hash)];
  const { subject, content } = describeEvent(event);
  const type = eventTypeName(event.type);
  const isExtended = event.type !== EVENT_TYPE.EV_NO_ACTION && digest !== undefined;
  const standing = isExtended ? standingOfData(event, digest, given.hash) : 'hearsay';
  return {
    pcr: event.pcr,
    type,
    ...(digest && { digest: toHex(digest) }),
    description: subject === type ? content : `${subject}: ${content}`,
    proven: isExtended && given.isProvable ? (standing === 'covered' ? 'data' : 'digest') : 'nothing',
    contradicted: standing === 'contradicted',
  };
}
