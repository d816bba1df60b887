import { asciiBytes, bytesEqual, concatBytes, fromHex, sha256, toHex } from '../../core/bytes.ts';
import { CodedError } from '../../core/errors.ts';
import { u32, u64 } from '../../tpm/writer.ts';

/** Metadata versions, of which a node never again takes older ones. From 1 to 2^53 - 1. */
export interface FloorVersions {
  root: number;
  targets: number;
  snapshot: number;
  /** Of the role of the node's channel. */
  channel: number;
}

/** What a node keeps in its TPM of the metadata that it has verified (docs/protocol.md, "Floor record"). */
export interface FloorRecord extends FloorVersions {
  /** Hex, 16 bytes: {@link channelHashOf}. */
  channelHash: string;
  /** The last signed time that it saw; 0 for none yet. */
  signedAtSeconds: number;
}

export class FloorRecordError extends CodedError<'floor-record-invalid'> {
  constructor(message: string) {
    super('floor-record-invalid', message);
  }
}

export const FLOOR_RECORD_BYTES = 64;
const FORMAT = asciiBytes('bwf1');
const CHANNEL_HASH_BYTES = 16;
const VERSIONS_OFFSET = FORMAT.length + CHANNEL_HASH_BYTES;
const RESERVED_OFFSET = 60;

export const FLOOR_VERSIONS = ['root', 'targets', 'snapshot', 'channel'] as const;

export function versionsOf({ root, targets, snapshot, channel }: FloorVersions): FloorVersions {
  return { root, targets, snapshot, channel };
}

/** @param channel its name, ASCII */
export function channelHashOf(channel: string): string {
  return toHex(sha256(asciiBytes(channel)).subarray(0, CHANNEL_HASH_BYTES));
}

/** @throws {FloorRecordError} for anything but the one spelling of a record */
export function parseFloorRecord(bytes: Uint8Array): FloorRecord {
  if (bytes.length !== FLOOR_RECORD_BYTES)
    throw new FloorRecordError(`the record has ${bytes.length} bytes, expected ${FLOOR_RECORD_BYTES}`);
  if (!bytesEqual(bytes.subarray(0, FORMAT.length), FORMAT))
    throw new FloorRecordError('the record does not begin with "bwf1"');
  if (bytes.subarray(RESERVED_OFFSET).some((byte) => byte !== 0))
    throw new FloorRecordError('the record does not end with four zero bytes');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const number = (index: number, lowest: number) => readNumber(view, { index, lowest });
  return {
    channelHash: toHex(bytes.subarray(FORMAT.length, VERSIONS_OFFSET)),
    root: number(0, 1),
    targets: number(1, 1),
    snapshot: number(2, 1),
    channel: number(3, 1),
    signedAtSeconds: number(4, 0),
  };
}

/** @throws {EncodingError | TpmFormatError} for what is no record */
export function encodeFloorRecord(record: FloorRecord): Uint8Array {
  const numbers = [record.root, record.targets, record.snapshot, record.channel, record.signedAtSeconds];
  return concatBytes(
    FORMAT,
    fromHex(record.channelHash),
    ...numbers.map((number) => u64(BigInt(number))),
    u32(0),
  );
}

function readNumber(view: DataView, { index, lowest }: { index: number; lowest: number }): number {
  const value = view.getBigUint64(VERSIONS_OFFSET + 8 * index);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(lowest))
    throw new FloorRecordError(`${value} is not between ${lowest} and ${Number.MAX_SAFE_INTEGER}`);
  return Number(value);
}
