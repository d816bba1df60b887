import { bytesEqual, EMPTY, sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { toPrintable } from '../../core/printable.ts';
import { isPurpose, type Purpose } from '../quote/purpose.ts';
import { type Finding, Refusal } from '../reasons.ts';
import { readBoundChallenge, readBoundClaims } from './bound-documents.ts';
import { parseClaims } from './claims.ts';
import type { EvidenceFields } from './evidence-fields.ts';
import { computeExtraData } from './extra-data.ts';

/**
 * Holds challenge and claims of an evidence file against the rest of it: both are bound by extraData, so
 * what they say of purpose, key and log must be so. The purpose that they name holds also where the document
 * itself names none. What cannot be read like that is refused, unless no reader would take it for JSON. Who signed the
 * challenge is for the server to know.
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
  const readChallenge = readBoundChallenge(fields.binding.challenge);
  const readClaims = readBoundClaims(fields.binding.claims);
  const challenge = readChallenge.members;
  const claims = readClaims.members;
  const findings = [
    ...readChallenge.findings,
    ...readClaims.findings,
    ...checkPurposes([fields.purpose, challenge.purpose, claims.purpose]),
    ...checkAk(challenge.akName, akName),
    ...checkLogHash(claims.eventLogSha256, fields.eventLog),
    UNCHECKED_SIGNATURE,
    ...(readClaims.findings.length === 0 ? noteUnread(fields.binding.claims) : []),
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

const UNCHECKED_SIGNATURE: Finding = {
  code: 'challenge-signature-unchecked',
  message: 'challenge: who signed it was not checked',
};

function noteUnread(claims: Uint8Array): Finding[] {
  try {
    parseClaims(claims);
    return [];
  } catch (cause) {
    return [{ code: 'claims-unread', message: messageOf(cause) }];
  }
}
