import type { Expression, ExpressionBuilder, Selectable, SqlBool } from 'kysely';
import type { StoredFinding } from '../attestation/attestation-store.ts';
import { parseFloorRecord } from '../attestation/floor/floor-record.ts';
import {
  type EndorsementKey,
  type NodeRecord,
  type NodeSession,
  nodeIdOf,
  type TpmCounters,
} from '../attestation/node.ts';
import { isJsonObject, type JsonValue, parseStrictJson } from '../core/strict-json.ts';
import { StorageError } from './errors.ts';
import type { Schema } from './schema.ts';

const MAX_COLUMN_BYTES = 64 * 1024;

export function toJsonColumn(value: unknown): string {
  return JSON.stringify(value);
}

export function fromJsonColumn(text: string): JsonValue {
  return parseStrictJson(text, { maxBytes: MAX_COLUMN_BYTES });
}

/** The keys that make a node's record whole; the one that its id is from comes first. */
export type NodeKeyRow = Pick<Selectable<Schema['endorsement_keys']>, 'fingerprint' | 'manufacturer'>;

export function toNode(row: Selectable<Schema['nodes']>, keys: readonly NodeKeyRow[]): NodeRecord {
  const counters = countersOf(row);
  const fingerprints = keys.map((key) => key.fingerprint).sort();
  const isFirst = (fingerprint: string) => nodeIdOf(fingerprint) === row.id;
  const manufacturer = keys.find((key) => key.manufacturer !== null)?.manufacturer;
  return {
    id: row.id,
    channel: row.channel,
    status: row.status,
    identity: row.identity,
    admission: row.admission,
    ...(row.state !== null && { state: row.state }),
    akPublic: row.ak_public,
    akName: row.ak_name,
    ekFingerprints: [
      ...fingerprints.filter(isFirst),
      ...fingerprints.filter((fingerprint) => !isFirst(fingerprint)),
    ],
    ...(manufacturer && { manufacturer }),
    untrustedHints: toHints(row.untrusted_hints),
    ...(counters && { counters }),
    akGeneration: row.ak_generation,
    akMayChange: row.ak_may_change === 1,
    akRotationDue: row.ak_rotation_due === 1,
    romAsserted: row.rom_asserted === 1,
    ...sessionOf(row),
    ...(row.floor_record !== null && { floor: parseFloorRecord(row.floor_record) }),
    floorExpected: row.floor_expected === 1,
    ...(row.floor_missed > 0 && { floorMissed: row.floor_missed }),
    ...(row.floor_reset === 1 && { floorReset: true }),
    ...(row.suspect_since !== null && {
      suspect: { sinceSeconds: row.suspect_since, reason: row.suspect_reason ?? '' },
    }),
    createdAtSeconds: row.created_at,
    ...(row.last_verdict_at !== null && { lastVerdictAtSeconds: row.last_verdict_at }),
  };
}

export function countersToColumns(counters: TpmCounters | undefined) {
  if (counters === undefined) return {};
  return {
    reset_count: counters.resetCount,
    restart_count: counters.restartCount,
    clock: counters.clock.toString(),
    firmware_version: counters.firmwareVersion.toString(),
  };
}

/** The node's counters are still these: what was decided on them holds. */
export function hasCounters(counters: TpmCounters | undefined) {
  return (node: ExpressionBuilder<Schema, 'nodes'>): Expression<SqlBool> =>
    node.and([
      node('reset_count', 'is not distinct from', counters?.resetCount ?? null),
      node('restart_count', 'is not distinct from', counters?.restartCount ?? null),
      node('clock', 'is not distinct from', counters?.clock.toString() ?? null),
      node('firmware_version', 'is not distinct from', counters?.firmwareVersion.toString() ?? null),
    ]);
}

function countersOf(row: Selectable<Schema['nodes']>): TpmCounters | undefined {
  if (row.reset_count === null || row.restart_count === null || row.clock === null) return undefined;
  if (row.firmware_version === null) return undefined;
  return {
    resetCount: row.reset_count,
    restartCount: row.restart_count,
    clock: BigInt(row.clock),
    firmwareVersion: BigInt(row.firmware_version),
  };
}

export function sessionToColumns(session: NodeSession) {
  return {
    session_release_digest: session.releaseDigest,
    session_stage0_sha256: session.stage0Sha256 ?? null,
    session_reset_count: session.resetCount,
    session_restart_count: session.restartCount,
    session_started_at: session.startedAtSeconds,
    session_proven_at: session.provenAtSeconds,
  };
}

function sessionOf(row: Selectable<Schema['nodes']>): { session?: NodeSession } {
  if (row.session_release_digest === null || row.session_reset_count === null) return {};
  if (row.session_restart_count === null || row.session_started_at === null) return {};
  if (row.session_proven_at === null) return {};
  return {
    session: {
      releaseDigest: row.session_release_digest,
      ...(row.session_stage0_sha256 !== null && { stage0Sha256: row.session_stage0_sha256 }),
      resetCount: row.session_reset_count,
      restartCount: row.session_restart_count,
      startedAtSeconds: row.session_started_at,
      provenAtSeconds: row.session_proven_at,
    },
  };
}

type EndorsementKeyRow = Omit<Selectable<Schema['endorsement_keys']>, 'node_id'>;

export function endorsementKeyToColumns(key: EndorsementKey) {
  return {
    fingerprint: key.fingerprint,
    public_area: key.publicArea,
    certificate: key.certificate ?? null,
    manufacturer: key.manufacturer ?? null,
    identity: key.identity,
  };
}

export function toEndorsementKey(row: EndorsementKeyRow): EndorsementKey {
  return {
    fingerprint: row.fingerprint,
    publicArea: row.public_area,
    ...(row.certificate !== null && { certificate: row.certificate }),
    ...(row.manufacturer !== null && { manufacturer: row.manufacturer }),
    identity: row.identity,
  };
}

export function toHints(column: string): Record<string, string> {
  const value = fromJsonColumn(column);
  if (!isJsonObject(value)) throw new StorageError('record-corrupt', 'hints are not an object');
  return Object.fromEntries(Object.entries(value).map(([key, hint]) => [key, String(hint)]));
}

export function toFindings(column: string): StoredFinding[] {
  const value = fromJsonColumn(column);
  if (!Array.isArray(value)) throw new StorageError('record-corrupt', 'findings are not a list');
  return value.map((finding) => {
    if (!isJsonObject(finding)) throw new StorageError('record-corrupt', 'a finding is not an object');
    return { code: String(finding.code), message: String(finding.message) };
  });
}
