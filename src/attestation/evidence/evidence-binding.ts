import { bytesEqual, EMPTY, fromBase64Url, sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { toPrintable } from '../../core/printable.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { isPurpose, type Purpose } from '../quote/purpose.ts';
import { type Finding, Refusal } from '../reasons.ts';
import { parseClaims } from './claims.ts';
import type { EvidenceFields } from './evidence-fields.ts';
import { computeExtraData } from './extra-data.ts';

const MAX_JSON_BYTES = 64 * 1024;

/**
 * Holds challenge and claims of an evidence file against the rest of it: both are bound by extraData, so
 * what they say of purpose, key and log must be so. The purpose that they name holds also where the document
 * itself names none. Who signed the challenge is for the server to know.
 *
 * @throws {Refusal} `extra-data-mismatch`
 */
export function checkBinding(
  fields: EvidenceFields,
  akName: string,
): { findings: Finding[]; purpose: Purpose | undefined } {
  if (fields.binding === undefined) return { findings: [], purpose: fields.purpose };
  if (!bytesEqual(computeExtraData(fields.binding), fields.expectedExtraData))
    throw new Refusal('extra-data-mismatch', 'expectedExtraData: not what challenge and claims give');
  const challenge = challengePayload(fields.binding.challenge);
  const claims = jsonObject(fields.binding.claims);
  const findings = [
    ...checkPurposes([fields.purpose, challenge.purpose, claims.purpose]),
    ...checkAk(challenge.akName, akName),
    ...checkLogHash(claims.eventLogSha256, fields.eventLog),
    ...readabilityNotes(fields.binding.claims),
  ];
  const asked = [fields.purpose, challenge.purpose, claims.purpose].find(isPurpose);
  return { findings, purpose: asked };
}

function checkPurposes(claimed: readonly unknown[]): Finding[] {
  const purposes = new Set(claimed.filter((purpose) => typeof purpose === 'string'));
  if (purposes.size <= 1) return [];
  return [
    {
      code: 'purpose-mismatch',
      message: `purpose: expected one, document, challenge and claims name ${shortList(purposes)}`,
    },
  ];
}

function checkAk(claimed: unknown, akName: string): Finding[] {
  if (typeof claimed !== 'string' || claimed === akName) return [];
  return [
    {
      code: 'ak-mismatch',
      message: `challenge: made for key ${shorten(claimed)}, this one is ${shorten(akName)}`,
    },
  ];
}

function checkLogHash(claimed: unknown, eventLog: Uint8Array | undefined): Finding[] {
  const actual = toHex(sha256(eventLog ?? EMPTY));
  if (typeof claimed !== 'string' || claimed === actual) return [];
  return [
    {
      code: 'claims-event-log-mismatch',
      message: `claims: they name event log ${shorten(claimed)}, the one that came is ${shorten(actual)}`,
    },
  ];
}

const MAX_QUOTED = 24;

function shortList(texts: Iterable<string>): string {
  return [...texts].map(shorten).join(', ');
}

function shorten(text: string): string {
  return toPrintable(text, MAX_QUOTED);
}

function readabilityNotes(claims: Uint8Array): Finding[] {
  const unchecked: Finding = {
    code: 'challenge-signature-unchecked',
    message: 'challenge: who signed it was not checked',
  };
  try {
    parseClaims(claims);
    return [unchecked];
  } catch (cause) {
    return [unchecked, { code: 'claims-unread', message: messageOf(cause) }];
  }
}

/** The payload of a compact JWS; nothing when it is none. */
function challengePayload(challenge: Uint8Array): JsonObject {
  const [, payload = ''] = Buffer.from(challenge).toString('latin1').split('.', 3);
  try {
    return jsonObject(fromBase64Url(payload));
  } catch {
    return {};
  }
}

function jsonObject(bytes: Uint8Array): JsonObject {
  try {
    const value = parseStrictJson(bytes, { maxBytes: MAX_JSON_BYTES });
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
