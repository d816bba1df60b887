import { createPublicKey } from 'node:crypto';
import { bytesEqual, fromBase64, fromHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { isPurpose, type Purpose } from '../quote/purpose.ts';
import { Refusal } from '../reasons.ts';

/** What a node says and binds into its quote (docs/protocol.md, "Claims"). */
export interface Claims {
  purpose: Purpose;
  /** Hex SHA-256 of the server key that the node saw on its connection. */
  serverKey: string;
  /** Hex SHA-256 of the EK's SubjectPublicKeyInfo. */
  ekFingerprint: string;
  /** SubjectPublicKeyInfo (DER, P-256) of this boot's ephemeral certificate. */
  ephemeralKey: Uint8Array;
  /** Hex SHA-256 of the event log as sent. */
  eventLogSha256: string;
  stage0Build: number;
  /** What the machine's own checks said; only of purpose `health`, where absent means healthy. */
  health?: Health;
  /** Hex SHA-256 of the report; there exactly when one is sent. */
  reportSha256?: string;
}

export const HEALTH = ['healthy', 'unhealthy'] as const;
export type Health = (typeof HEALTH)[number];

export function isHealth(value: unknown): value is Health {
  return HEALTH.some((health) => health === value);
}

export const MAX_CLAIMS_BYTES = 4096;
const FIELDS = [
  'purpose',
  'serverKey',
  'ekFingerprint',
  'ephemeralKey',
  'eventLogSha256',
  'stage0Build',
  'health',
  'reportSha256',
];
const SHA256_HEX = /^[0-9a-f]{64}$/;

/**
 * Reads claims from the exact bytes that were hashed into extraData.
 *
 * @throws {Refusal} `claims-malformed`
 */
export function parseClaims(exactBytes: Uint8Array): Claims {
  try {
    return readClaims(parseStrictJson(exactBytes, { maxBytes: MAX_CLAIMS_BYTES, maxDepth: 1 }));
  } catch (cause) {
    throw new Refusal('claims-malformed', `claims: ${messageOf(cause)}`, { cause });
  }
}

function readClaims(document: unknown): Claims {
  if (!isJsonObject(document as JsonObject)) throw new TypeError('not an object');
  const claims = document as JsonObject;
  const unknown = Object.keys(claims).find((key) => !FIELDS.includes(key));
  if (unknown !== undefined) throw new TypeError(`unknown field ${JSON.stringify(unknown)}`);
  const { purpose, stage0Build } = claims;
  if (!isPurpose(purpose)) throw new TypeError('"purpose" is none that we know');
  if (typeof stage0Build !== 'number' || !Number.isSafeInteger(stage0Build) || stage0Build < 1)
    throw new TypeError('"stage0Build" is not an integer from 1');
  return {
    purpose,
    serverKey: sha256Field(claims, 'serverKey'),
    ekFingerprint: sha256Field(claims, 'ekFingerprint'),
    ephemeralKey: p256Key(claims.ephemeralKey),
    eventLogSha256: sha256Field(claims, 'eventLogSha256'),
    stage0Build,
    ...(claims.health !== undefined && { health: healthOf(claims.health, purpose) }),
    ...(claims.reportSha256 !== undefined && { reportSha256: sha256Field(claims, 'reportSha256') }),
  };
}

function healthOf(health: unknown, purpose: Purpose): Health {
  if (purpose !== 'health') throw new TypeError(`"health" does not belong to purpose ${purpose}`);
  if (!isHealth(health)) throw new TypeError(`"health" is neither "${HEALTH.join('" nor "')}"`);
  return health;
}

function sha256Field(claims: JsonObject, field: string): string {
  const value = claims[field];
  if (typeof value !== 'string' || !SHA256_HEX.test(value))
    throw new TypeError(`"${field}" is not a SHA-256 in lower-case hex`);
  return value;
}

/** RFC 5480 section 2: a P-256 key's SubjectPublicKeyInfo up to the 64 bytes of an uncompressed point. */
const P256_SPKI_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

/** One key has one spelling: OpenSSL reads compressed and hybrid points, too, and writes them as it read them. */
function p256Key(value: unknown): Uint8Array {
  if (typeof value !== 'string') throw new TypeError('"ephemeralKey" is not a string');
  const der = fromBase64(value);
  const key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new TypeError('"ephemeralKey" is not a P-256 key');
  if (!isUncompressed(der)) throw new TypeError('"ephemeralKey" is not in its one canonical form');
  return der;
}

function isUncompressed(der: Uint8Array): boolean {
  const start = der.subarray(0, P256_SPKI_PREFIX.length);
  return der.length === P256_SPKI_PREFIX.length + 64 && bytesEqual(start, P256_SPKI_PREFIX);
}
