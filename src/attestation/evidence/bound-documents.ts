import { messageOf } from '../../core/errors.ts';
import { type JsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import { isPurpose } from '../quote/purpose.ts';
import type { Finding, RefusalCode } from '../reasons.ts';
import { isHealth, MAX_CLAIMS_BYTES } from './claims.ts';

/** What challenge or claims of an evidence file name, as far as that can be judged. */
export interface BoundDocument {
  /** Nothing where they are opaque, or refused by {@link findings}. */
  members: JsonObject;
  findings: Finding[];
}

interface Form {
  name: 'challenge' | 'claims';
  code: RefusalCode;
  maxBytes: number;
  /** Of the members that docs/protocol.md defines; others are nothing to us. */
  types: Readonly<Record<string, (value: JsonValue) => boolean>>;
}

const isString = (value: JsonValue) => typeof value === 'string';
const isNumber = (value: JsonValue) => typeof value === 'number';
const CLAIMS: Form = {
  name: 'claims',
  code: 'claims-malformed',
  maxBytes: MAX_CLAIMS_BYTES,
  types: {
    purpose: isPurpose,
    serverKey: isString,
    ekFingerprint: isString,
    ephemeralKey: isString,
    eventLogSha256: isString,
    stage0Build: isNumber,
    health: isHealth,
    reportSha256: isString,
  },
};
const CHALLENGE: Form = {
  name: 'challenge',
  code: 'challenge-unknown',
  maxBytes: 64 * 1024,
  types: {
    nonce: isString,
    purpose: isPurpose,
    akName: isString,
    pcrBank: isString,
    pcrs: Array.isArray,
    serverKeys: Array.isArray,
    iat: isNumber,
    exp: isNumber,
  },
};
const OPAQUE: BoundDocument = { members: {}, findings: [] };

/** Claims of any other protocol are opaque; what some reader may take for a JSON object is read strictly, or refused. */
export function readBoundClaims(claims: Uint8Array): BoundDocument {
  return isLikeObject(claims) ? readStrictly(claims, CLAIMS) : OPAQUE;
}

/** The payload of a compact JWS (RFC 7515, section 7.1), or an object as it stands; anything else is opaque. */
export function readBoundChallenge(challenge: Uint8Array): BoundDocument {
  if (isLikeObject(challenge)) return readStrictly(challenge, CHALLENGE);
  const [, payload = '', ...rest] = Buffer.from(challenge).toString('latin1').split('.');
  const bytes = Buffer.from(payload, 'base64');
  if (!isLikeObject(bytes)) return OPAQUE;
  if (rest.length !== 1) return refused(CHALLENGE, 'expected the three parts of a compact JWS');
  if (bytes.toString('base64url') !== payload)
    return refused(CHALLENGE, 'expected a payload in canonical base64url without padding');
  return readStrictly(bytes, CHALLENGE);
}

/** Byte-order marks and white space: lenient readers skip them. */
const SKIPPED: readonly number[] = [0xef, 0xbb, 0xbf, 0x20, 0x09, 0x0a, 0x0d];
const OPENING_BRACE = 0x7b;

function isLikeObject(bytes: Uint8Array): boolean {
  return bytes.find((byte) => !SKIPPED.includes(byte)) === OPENING_BRACE;
}

function readStrictly(bytes: Uint8Array, form: Form): BoundDocument {
  try {
    const members = parseStrictJson(bytes, { maxBytes: form.maxBytes }) as JsonObject;
    const wrong = Object.entries(form.types).find(
      ([name, isRight]) => members[name] !== undefined && !isRight(members[name]),
    );
    if (wrong !== undefined) return refused(form, `"${wrong[0]}" is not what the protocol defines`);
    return { members, findings: [] };
  } catch (cause) {
    return refused(form, messageOf(cause));
  }
}

function refused({ name, code }: Form, why: string): BoundDocument {
  return { members: {}, findings: [{ code, message: `${name}: ${why}` }] };
}
