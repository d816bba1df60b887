import { fromHex, toHex } from '../../core/bytes.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { hashByName } from '../../tpm/algorithms.ts';
import { PCR_COUNT } from '../../tpm/pcr-selection.ts';
import type { UntrustedFloor } from '../floor/floor-certification.ts';
import { FLOOR_VERSIONS, type FloorVersions } from '../floor/floor-record.ts';
import type { FloorReference } from '../floor/floor-rule.ts';
import type { TpmCounters } from '../node.ts';
import type { FirmwareReference, FirmwareValues } from '../policy/firmware-rule.ts';
import type { ReferenceValue, Stage0Values } from '../policy/reference-values.ts';
import type { SecureBootPolicy } from '../policy/secure-boot.ts';
import { type PcrValues, parsePcrIndex, parsePcrValues } from '../quote/pcr-values.ts';
import { isPurpose, type Purpose } from '../quote/purpose.ts';
import type { BootSession } from '../quote/purpose-rule.ts';
import type { EvidencePolicy } from '../verify.ts';
import {
  base64,
  EvidenceFieldError,
  hex,
  metadataVersion,
  object,
  requireFields,
  uint32,
  uint64,
} from './evidence-field-readers.ts';

/** The fields of an evidence file, decoded; none of it is verified. */
export interface EvidenceFields {
  /** TPMT_PUBLIC. Whoever keeps the file vouches that this is the node's key. */
  akPublic: Uint8Array;
  expectedExtraData: Uint8Array;
  attest: Uint8Array;
  signature: Uint8Array;
  pcrs: PcrValues;
  eventLog?: Uint8Array;
  policy: EvidencePolicy;
  purpose?: Purpose;
  /** The exact bytes that extraData was computed from. */
  binding?: { challenge: Uint8Array; claims: Uint8Array };
  session?: BootSession;
  previous?: TpmCounters;
  floor?: UntrustedFloor;
}

const REQUIRED = ['format', 'akPublic', 'attest', 'signature', 'expectedExtraData', 'pcrs', 'policy'];
const OPTIONAL = ['eventLog', 'purpose', 'challenge', 'claims', 'session', 'previous', 'floor'];
/** A nonce shorter than this proves no freshness (Q52); TPM2B_DATA holds no more than a SHA-512 digest. */
const MIN_EXTRA_DATA_BYTES = 16;
const MAX_EXTRA_DATA_BYTES = 64;
const SHA256_BYTES = 32;
const SHA256_HEX = /^[0-9a-f]{64}$/;

/** @throws {EvidenceFieldError | PcrValuesError | EncodingError} naming the field or the value */
export function readEvidenceFields(document: JsonObject): EvidenceFields {
  requireFields(document, 'document', { required: REQUIRED, optional: OPTIONAL });
  const binding = readBinding(document);
  return {
    akPublic: hex(document, 'akPublic'),
    expectedExtraData: readExtraData(document),
    attest: hex(document, 'attest'),
    signature: hex(document, 'signature'),
    pcrs: parsePcrValues(document.pcrs),
    policy: readPolicy(object(document, 'policy')),
    ...(document.eventLog === undefined ? {} : { eventLog: base64(document, 'eventLog') }),
    ...(document.purpose === undefined ? {} : { purpose: readPurpose(document.purpose) }),
    ...(binding === undefined ? {} : { binding }),
    ...(document.session === undefined ? {} : { session: readSession(object(document, 'session')) }),
    ...(document.previous === undefined ? {} : { previous: readCounters(object(document, 'previous')) }),
    ...(document.floor === undefined ? {} : { floor: readFloor(object(document, 'floor')) }),
  };
}

function readExtraData(document: JsonObject): Uint8Array {
  const bytes = hex(document, 'expectedExtraData');
  if (bytes.length < MIN_EXTRA_DATA_BYTES || bytes.length > MAX_EXTRA_DATA_BYTES)
    throw new EvidenceFieldError(
      'expectedExtraData',
      `${MIN_EXTRA_DATA_BYTES} to ${MAX_EXTRA_DATA_BYTES} bytes`,
    );
  return bytes;
}

function readPolicy(policy: JsonObject): EvidencePolicy {
  requireFields(policy, 'policy', {
    required: ['bank', 'pcrs', 'eventLog'],
    optional: ['expected', 'stage0', 'unlogged', 'firmware', 'secureBoot', 'floor'],
  });
  const { bank, eventLog, expected } = policy;
  if (typeof bank !== 'string') throw new EvidenceFieldError('policy.bank', 'the name of a bank');
  if (eventLog !== 'required' && eventLog !== 'optional')
    throw new EvidenceFieldError('policy.eventLog', '"required" or "optional"');
  return {
    bank,
    pcrs: readPcrList(policy.pcrs, 'policy.pcrs'),
    eventLog,
    referenceValues: expected === undefined ? [] : readExpected(object(policy, 'expected'), bank),
    ...(policy.stage0 !== undefined && { stage0: readStage0(policy.stage0, bank) }),
    ...(policy.unlogged !== undefined && { unloggedPcrs: readPcrList(policy.unlogged, 'policy.unlogged') }),
    ...(policy.firmware !== undefined && { firmware: readFirmware(object(policy, 'firmware'), bank) }),
    ...(policy.secureBoot !== undefined && { secureBoot: readSecureBoot(object(policy, 'secureBoot')) }),
    ...(policy.floor !== undefined && { floor: readFloorReference(object(policy, 'floor')) }),
  };
}

function readFirmware(firmware: JsonObject, bank: string): FirmwareReference {
  requireFields(firmware, 'policy.firmware', { required: ['pcrs', 'accepted'] });
  const pcrs = readPcrList(firmware.pcrs, 'policy.firmware.pcrs');
  const { accepted } = firmware;
  if (!Array.isArray(accepted))
    throw new EvidenceFieldError('policy.firmware.accepted', 'a list of PCR values that belong together');
  return { pcrs, accepted: accepted.map((values) => readFirmwareValues(values, bank)) };
}

function readFirmwareValues(values: JsonValue, bank: string): FirmwareValues {
  if (!isJsonObject(values))
    throw new EvidenceFieldError('policy.firmware.accepted', 'objects of PCR number and hex value');
  return Object.fromEntries(
    Object.entries(values).map(([index, value]) => [parsePcrIndex(index), toHex(readPcrHex(value, bank))]),
  );
}

function readSecureBoot(secureBoot: JsonObject): SecureBootPolicy {
  requireFields(secureBoot, 'policy.secureBoot', { required: ['db'] });
  const { db } = secureBoot;
  if (db === 'any') return { db };
  const isDigest = (entry: JsonValue): entry is string => typeof entry === 'string' && SHA256_HEX.test(entry);
  if (!Array.isArray(db) || db.length === 0 || !db.every(isDigest))
    throw new EvidenceFieldError('policy.secureBoot.db', '"any", or a list of SHA-256 in hex');
  return { db };
}

const CHANNEL_HASH = /^[0-9a-f]{32}$/;

function readFloorReference(floor: JsonObject): FloorReference {
  requireFields(floor, 'policy.floor', {
    required: ['required', 'channelHash'],
    optional: ['lowest', 'published'],
  });
  const { required, channelHash } = floor;
  if (typeof required !== 'boolean') throw new EvidenceFieldError('policy.floor.required', 'true or false');
  if (typeof channelHash !== 'string' || !CHANNEL_HASH.test(channelHash))
    throw new EvidenceFieldError('policy.floor.channelHash', '16 bytes in hex');
  return {
    required,
    channelHash,
    ...(floor.lowest !== undefined && { lowest: readVersions(object(floor, 'lowest')) }),
    ...(floor.published !== undefined && { published: readVersions(object(floor, 'published')) }),
  };
}

function readVersions(versions: JsonObject): FloorVersions {
  requireFields(versions, 'policy.floor', { required: FLOOR_VERSIONS });
  const version = (role: keyof FloorVersions) => metadataVersion(versions, role);
  return {
    root: version('root'),
    targets: version('targets'),
    snapshot: version('snapshot'),
    channel: version('channel'),
  };
}

function readPcrList(value: JsonValue | undefined, field: string): number[] {
  const isPcr = (pcr: JsonValue): pcr is number =>
    typeof pcr === 'number' && Number.isInteger(pcr) && pcr >= 0 && pcr < PCR_COUNT;
  if (
    !Array.isArray(value) ||
    value.length === 0 ||
    !value.every(isPcr) ||
    new Set(value).size !== value.length
  )
    throw new EvidenceFieldError(field, 'at least one PCR number, each once');
  return value;
}

function readExpected(expected: JsonObject, bank: string): ReferenceValue[] {
  return Object.entries(expected).map(([index, values]) => {
    const pcr = parsePcrIndex(index);
    if (!Array.isArray(values))
      throw new EvidenceFieldError(`policy.expected.${pcr}`, 'a list of hex values');
    return { pcr, accepted: values.map((value) => readPcrHex(value, bank)) };
  });
}

function readStage0(images: JsonValue, bank: string): Stage0Values[] {
  if (!Array.isArray(images))
    throw new EvidenceFieldError('policy.stage0', 'a list of what images leave in PCR 4 and 11');
  return images.map((image) => {
    if (!isJsonObject(image)) throw new EvidenceFieldError('policy.stage0', 'objects of PCR 4 and 11');
    requireFields(image, 'policy.stage0', { required: ['4', '11'], optional: ['floor'] });
    const { 4: pcr4, 11: pcr11, floor } = image;
    if (floor !== undefined && floor !== false)
      throw new EvidenceFieldError('policy.stage0', '"floor" false, or none');
    return {
      pcr4: readStage0Values(pcr4, bank),
      pcr11: readStage0Values(pcr11, bank),
      ...(floor === false && { floor }),
    };
  });
}

function readStage0Values(values: JsonValue | undefined, bank: string): Uint8Array[] {
  if (!Array.isArray(values) || values.length === 0)
    throw new EvidenceFieldError('policy.stage0', 'at least one hex value of each PCR');
  return values.map((value) => readPcrHex(value, bank));
}

function readPcrHex(value: JsonValue, bank: string): Uint8Array {
  if (typeof value !== 'string' || value.length !== 2 * (hashByName(bank)?.size ?? 0))
    throw new EvidenceFieldError('policy.expected', `hex values of ${bank}`);
  return fromHex(value);
}

function readPurpose(value: JsonValue): Purpose {
  if (!isPurpose(value)) throw new EvidenceFieldError('purpose', '"enrol", "boot", "health" or "reattest"');
  return value;
}

function readBinding(document: JsonObject): EvidenceFields['binding'] {
  if (document.challenge === undefined && document.claims === undefined) return undefined;
  return { challenge: base64(document, 'challenge'), claims: base64(document, 'claims') };
}

function readSession(session: JsonObject): BootSession {
  requireFields(session, 'session', { required: ['releaseDigest', 'resetCount', 'restartCount'] });
  const releaseDigest = hex(session, 'releaseDigest');
  if (releaseDigest.length !== SHA256_BYTES)
    throw new EvidenceFieldError('session.releaseDigest', 'a SHA-256');
  return {
    releaseDigest,
    resetCount: uint32(session, 'resetCount'),
    restartCount: uint32(session, 'restartCount'),
  };
}

function readCounters(previous: JsonObject): TpmCounters {
  requireFields(previous, 'previous', {
    required: ['clock', 'resetCount', 'restartCount', 'firmwareVersion'],
  });
  return {
    clock: uint64(previous, 'clock'),
    resetCount: uint32(previous, 'resetCount'),
    restartCount: uint32(previous, 'restartCount'),
    firmwareVersion: uint64(previous, 'firmwareVersion'),
  };
}

function readFloor(floor: JsonObject): UntrustedFloor {
  requireFields(floor, 'floor', { required: ['nvPublic', 'attest', 'signature', 'contents'] });
  return {
    nvPublic: hex(floor, 'nvPublic'),
    attest: hex(floor, 'attest'),
    signature: hex(floor, 'signature'),
    contents: hex(floor, 'contents'),
  };
}
