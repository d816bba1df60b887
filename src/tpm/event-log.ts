import { asciiBytes, bytesEqual } from '../core/bytes.ts';
import { algHex, type HashAlgorithm, hashById } from './algorithms.ts';
import { TpmFormatError } from './errors.ts';
import { EVENT_TYPE } from './event-types.ts';
import { PCR_COUNT } from './pcr-selection.ts';
import { StructureReader } from './reader.ts';

/** TCG_PCR_EVENT2 (PFP 1.06, section 10.2.2). Its type and data are what the log says, nothing more. */
export interface LogEvent {
  /** 0 to 23, or 0xffffffff with EV_NO_ACTION. */
  pcr: number;
  type: number;
  /** One place for each of the log's `hashes`, in that order; undefined where the event has no such digest. */
  digests: readonly (Uint8Array | undefined)[];
  data: Uint8Array;
}

export interface EventLog {
  /** The banks that the header declares. */
  hashes: readonly HashAlgorithm[];
  events: readonly LogEvent[];
}

export interface EventLogLimits {
  maxBytes: number;
  maxEvents: number;
}

/** The most that anything here reads; callers that face a network set less. */
export const EVENT_LOG_LIMITS: EventLogLimits = { maxBytes: 64 * 1024 * 1024, maxEvents: 1_000_000 };

const SPEC_ID_SIGNATURE = asciiBytes('Spec ID Event03\0');
const SHA1_BYTES = 20;
const MAX_BANKS = 16;
const NO_PCR = 0xffff_ffff;
const PCR_AND_TYPE_BYTES = 8;
/** The same, and the number of digests and of bytes: none of both. */
const MIN_EVENT_BYTES = 16;

/**
 * A crypto-agile event log (PFP, section 10): header, then events to the last byte.
 *
 * @throws {TpmFormatError} `log-too-large`; `log-sha1-format` for a log without the crypto-agile header
 */
export function parseEventLog(bytes: Uint8Array, limits: EventLogLimits = EVENT_LOG_LIMITS): EventLog {
  if (bytes.length > limits.maxBytes)
    throw new TpmFormatError('log-too-large', `event log: ${bytes.length} bytes, at most ${limits.maxBytes}`);
  const reader = new StructureReader(bytes, 'event log', 'little');
  const hashes = readHeader(reader);
  if (reader.remaining > limits.maxEvents * MIN_EVENT_BYTES)
    refuseTooMany(bytes.subarray(-reader.remaining), hashes, limits);
  const events: LogEvent[] = [];
  while (reader.remaining > 0) events.push(readEvent(reader, hashes));
  return { hashes, events };
}

/**
 * Counts before anything is built: a log of a million events costs no more than running over it once. What is
 * malformed on the way is left for the reader, which says what.
 */
function refuseTooMany(
  bytes: Uint8Array,
  hashes: readonly HashAlgorithm[],
  { maxEvents }: EventLogLimits,
): void {
  const reader = new StructureReader(bytes, 'event log', 'little');
  for (let count = 0; reader.remaining > 0; count += 1) {
    if (count === maxEvents)
      throw new TpmFormatError('log-too-large', `event log: more than ${maxEvents} events`);
    reader.skip(PCR_AND_TYPE_BYTES);
    for (let digests = reader.u32(); digests > 0; digests -= 1) {
      const id = reader.u16();
      const hash = hashes.find((candidate) => candidate.id === id);
      if (hash === undefined) return;
      reader.skip(hash.size);
    }
    reader.skip(reader.u32());
  }
}

/** The first event is a TCG_PCR_EVENT in the old SHA-1 format that holds TCG_EfiSpecIDEvent (10.2.1, 10.4.5.1). */
function readHeader(reader: StructureReader): HashAlgorithm[] {
  const pcr = reader.u32();
  const type = reader.u32();
  const digest = reader.fixed(SHA1_BYTES);
  const data = reader.fixed(reader.u32());
  const signature = data.subarray(0, SPEC_ID_SIGNATURE.length);
  if (type !== EVENT_TYPE.EV_NO_ACTION || !bytesEqual(signature, SPEC_ID_SIGNATURE))
    return refuseHeader(reader, pcr);
  if (pcr !== 0) reader.invalid('the header is not in PCR 0');
  if (digest.some((byte) => byte !== 0)) reader.invalid('the header has a digest');
  const header = new StructureReader(data.subarray(SPEC_ID_SIGNATURE.length), 'Spec ID event', 'little');
  const hashes = readSpecId(header);
  header.end();
  return hashes;
}

function refuseHeader(reader: StructureReader, pcr: number): never {
  if (pcr >= PCR_COUNT) reader.invalid('it does not begin with a Spec ID event');
  throw new TpmFormatError('log-sha1-format', 'event log: it does not begin with "Spec ID Event03"');
}

/** TCG_EfiSpecIDEvent after its signature (10.4.5.1). */
function readSpecId(reader: StructureReader): HashAlgorithm[] {
  reader.u32(); // platformClass: client or server
  const minor = reader.u8();
  const major = reader.u8();
  reader.u8(); // specErrata
  const uintnSize = reader.u8();
  if (major !== 2 || minor !== 0) reader.unsupported(`version ${major}.${minor}`);
  if (uintnSize !== 1 && uintnSize !== 2) reader.invalid(`uintnSize ${uintnSize}`);
  const count = reader.u32();
  if (count < 1 || count > MAX_BANKS) reader.invalid(`${count} algorithms`);
  const hashes: HashAlgorithm[] = [];
  for (let index = 0; index < count; index += 1) hashes.push(readBank(reader, hashes));
  reader.fixed(reader.u8()); // vendorInfo
  return hashes;
}

function readBank(reader: StructureReader, known: readonly HashAlgorithm[]): HashAlgorithm {
  const id = reader.u16();
  const size = reader.u16();
  const hash = hashById(id) ?? reader.unsupported(`algorithm ${algHex(id)}`);
  if (size !== hash.size) reader.invalid(`${hash.name} with ${size} bytes`);
  if (known.includes(hash)) reader.invalid(`${hash.name} is declared twice`);
  return hash;
}

function readEvent(reader: StructureReader, hashes: readonly HashAlgorithm[]): LogEvent {
  const pcr = reader.u32();
  const type = reader.u32();
  if (pcr >= PCR_COUNT && !(pcr === NO_PCR && type === EVENT_TYPE.EV_NO_ACTION))
    reader.invalid(`event in PCR ${pcr}`);
  const count = reader.u32();
  if (count > hashes.length) reader.invalid(`${count} digests, ${hashes.length} banks`);
  const digests = hashes.map((): Uint8Array | undefined => undefined);
  for (let read = 0; read < count; read += 1) {
    const id = reader.u16();
    const index = hashes.findIndex((hash) => hash.id === id);
    const hash = hashes[index] ?? reader.invalid(`a digest of undeclared algorithm ${algHex(id)}`);
    if (digests[index] !== undefined) reader.invalid(`two ${hash.name} digests in one event`);
    digests[index] = reader.fixed(hash.size);
  }
  return { pcr, type, digests, data: reader.fixed(reader.u32()) };
}
