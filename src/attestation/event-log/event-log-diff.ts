import { bytesEqual, toHex } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import type { EventLog } from '../../tpm/event-log.ts';
import { startupLocalityOf } from '../../tpm/startup-locality.ts';
import { describeEvent } from './event-description.ts';
import { contentOf, type Measured, measuredIn, nameOf, readLog } from './measured-events.ts';
import { diffSequences } from './sequence-diff.ts';

/** A difference longer than this is another machine, not an update. */
const MAX_LINES = 64;
/** More are not put into words one by one. */
const MAX_CHANGES_OF_PCR = 512;

/**
 * What of these PCRs changed between two logs, a line each, for a person who has to say whether that is well.
 * A log is its machine's word: show this beside PCR values only for logs that replay to quoted ones.
 */
export function diffEventLogs(input: {
  before: Uint8Array;
  after: Uint8Array;
  hash: HashAlgorithm;
  pcrs: readonly number[];
}): string[] {
  const before = readLog(input.before, input.hash);
  const after = readLog(input.after, input.hash);
  if (before === undefined || after === undefined)
    return [
      `the event logs cannot be compared: the ${before === undefined ? 'earlier' : 'later'} one is not readable in bank ${input.hash.name}`,
    ];
  const lines = input.pcrs.flatMap((pcr) => [
    ...(pcr === 0 ? diffLocality(before, after) : []),
    ...diffPcr(pcr, measuredIn(before, pcr, input.hash), measuredIn(after, pcr, input.hash)),
  ]);
  const omitted = lines.length - MAX_LINES;
  return omitted > 0 ? [...lines.slice(0, MAX_LINES), `and ${omitted} more differences`] : lines;
}

function diffLocality(before: EventLog, after: EventLog): string[] {
  const [was, is] = [startupLocalityOf(before), startupLocalityOf(after)];
  return was === is ? [] : [`PCR 0: the TPM was started from locality ${was}, now from locality ${is}`];
}

function diffPcr(pcr: number, before: readonly Measured[], after: readonly Measured[]): string[] {
  const keys = (events: readonly Measured[]) => events.map(({ digest }) => toHex(digest));
  const diff = diffSequences(keys(before), keys(after));
  if (diff === undefined || diff.removed.length + diff.added.length > MAX_CHANGES_OF_PCR)
    return [`PCR ${pcr}: nearly everything differs (${before.length} events before, ${after.length} now)`];
  const changes = pairUp(pick(before, diff.removed), pick(after, diff.added));
  return changes.map((change) => `PCR ${pcr}: ${sayChange(change)}`);
}

function pick(events: readonly Measured[], indexes: readonly number[]): Measured[] {
  const wanted = new Set(indexes);
  return events.filter((_event, index) => wanted.has(index));
}

type Change = { before: Measured; after?: undefined } | { before?: undefined; after: Measured } | Pair;

interface Pair {
  before: Measured;
  after: Measured;
}

/** What went and what came belong together when the digest is the same, else when the subject is. */
function pairUp(removed: readonly Measured[], added: readonly Measured[]): Change[] {
  const byDigest = pairBy(removed, added, ({ digest }) => toHex(digest));
  const bySubject = pairBy(byDigest.removed, byDigest.added, ({ event }) => describeEvent(event).subject);
  const changes: Change[] = [
    ...byDigest.pairs,
    ...bySubject.pairs,
    ...bySubject.removed.map((before) => ({ before })),
    ...bySubject.added.map((after) => ({ after })),
  ];
  return changes.sort((a, b) => placeOf(a) - placeOf(b));
}

function placeOf({ before, after }: Change): number {
  return (after ?? before).place;
}

/** Each with the first of its key that is left; and what is left over. */
function pairBy(
  removed: readonly Measured[],
  added: readonly Measured[],
  keyOf: (measured: Measured) => string,
): { pairs: Pair[]; removed: Measured[]; added: Measured[] } {
  const candidates = Map.groupBy(added, keyOf);
  const pairs = removed.map((before) => ({ before, after: candidates.get(keyOf(before))?.shift() }));
  return {
    pairs: pairs.flatMap(({ before, after }) => (after === undefined ? [] : { before, after })),
    removed: pairs.flatMap(({ before, after }) => (after === undefined ? before : [])),
    added: [...candidates.values()].flat().sort((a, b) => a.place - b.place),
  };
}

function sayChange({ before, after }: Change): string {
  if (before === undefined) return `${nameOf(after)} is new: ${contentOf(after)}`;
  if (after === undefined) return `${nameOf(before)} is gone: ${contentOf(before)}`;
  if (bytesEqual(before.digest, after.digest))
    return `${nameOf(before)} is event ${after.place} now: ${contentOf(after)}`;
  const [was, is] = [contentOf(before), contentOf(after)];
  if (was !== is) return `${nameOf(after)} changed: ${was} before, ${is} now`;
  return `${nameOf(after)} changed: digest ${shortHex(before.digest)} before, ${shortHex(after.digest)} now, both ${is}`;
}
