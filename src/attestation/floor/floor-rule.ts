import { messageOf } from '../../core/errors.ts';
import type { Finding } from '../reasons.ts';
import { FLOOR_VERSIONS, type FloorRecord, type FloorVersions, parseFloorRecord } from './floor-record.ts';

/** What a certified record is held against. */
export interface FloorReference {
  /** This node has shown one before, or must have written one by now. */
  required: boolean;
  /** Hex hash of the node's channel, as in the record. */
  channelHash: string;
  /** What the node's last accepted evidence showed. */
  lowest?: FloorVersions;
  /** What is published here: no node can have seen more. */
  published?: FloorVersions;
}

/**
 * Missing is never "floor zero" (P8), lower is never right, and more than this server publishes says that this server
 * was set back (R3, R4).
 *
 * @param untrustedContents of a record that was certified for this very evidence; absent where none came
 */
export function checkFloorRecord(
  untrustedContents: Uint8Array | undefined,
  reference: FloorReference,
): Finding[] {
  if (untrustedContents === undefined) return checkAbsence(reference);
  const record = readRecord(untrustedContents);
  if ('fault' in record) return [record.fault];
  return record.record.channelHash === reference.channelHash
    ? compareVersions(record.record, reference)
    : [otherChannel(record.record, reference)];
}

function checkAbsence({ required, lowest }: FloorReference): Finding[] {
  if (!required) return [];
  const expected = lowest === undefined ? 'its first record' : `one of ${describeVersions(lowest)} or more`;
  return [{ code: 'floor-missing', message: `floor: expected ${expected}, no record came` }];
}

function readRecord(bytes: Uint8Array): { record: FloorRecord } | { fault: Finding } {
  try {
    return { record: parseFloorRecord(bytes) };
  } catch (cause) {
    return { fault: { code: 'floor-malformed', message: `floor: ${messageOf(cause)}` } };
  }
}

function otherChannel({ channelHash }: FloorRecord, reference: FloorReference): Finding {
  return {
    code: 'floor-other-channel',
    message: `floor: kept for the channel with hash ${channelHash}, this node's channel has ${reference.channelHash}`,
  };
}

function compareVersions(record: FloorRecord, { lowest, published }: FloorReference): Finding[] {
  const wentBack = lowest && isBelow(record, lowest);
  const isAhead = published && isBelow(published, record);
  const shown = describeVersions(record);
  return [
    ...(wentBack
      ? [
          {
            code: 'floor-went-back',
            message: `floor: ${shown}, expected ${describeVersions(lowest)} as before, or more`,
          } as const,
        ]
      : []),
    ...(isAhead
      ? [
          {
            code: 'floor-ahead',
            message: `floor: the node has seen ${shown}, this server publishes ${describeVersions(published)}`,
          } as const,
        ]
      : []),
  ];
}

/**
 * In any one role. A newer root may name other keys for the snapshot, and then its versions begin anew: what a thief ran
 * up binds nobody any more (TUF 1.0, section 5.3.11). Under one root it only grows.
 */
function isBelow(some: FloorVersions, others: FloorVersions): boolean {
  return FLOOR_VERSIONS.some(
    (role) => some[role] < others[role] && (role !== 'snapshot' || some.root === others.root),
  );
}

function describeVersions(versions: FloorVersions): string {
  return FLOOR_VERSIONS.map((role) => `${role} ${versions[role]}`).join(', ');
}
