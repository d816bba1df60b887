import type { KeyObject } from 'node:crypto';
import { CompactSign, compactVerify } from 'jose';
import { fromBase64Url, utf8Bytes } from '../core/bytes.ts';
import { CodedError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../core/strict-json.ts';
import { ED25519_SIGNATURE_BYTES } from './public-key.ts';

// The one door to `jose`: compact JWS (RFC 7515), EdDSA over Ed25519 (RFC 8037), nothing else.

export type JwsType = 'bootward-challenge+jwt' | 'bootward-grant+jwt';

export type JwsErrorCode =
  | 'jws-too-large'
  | 'jws-malformed'
  | 'jws-header-refused'
  | 'jws-algorithm-refused'
  | 'jws-type-refused'
  | 'jws-key-unknown'
  | 'jws-signature-invalid'
  | 'jws-payload-refused';

export class JwsError extends CodedError<JwsErrorCode> {}

export interface VerifiedJws {
  readonly keyId: string;
  readonly payload: JsonObject;
}

const ALGORITHM = 'EdDSA';
const MAX_HEADER_BYTES = 256;
const HEADER_MEMBERS = new Set(['alg', 'typ', 'kid']);

export async function signJws(input: {
  key: KeyObject;
  keyId: string;
  typ: JwsType;
  payload: JsonObject;
}): Promise<string> {
  return new CompactSign(utf8Bytes(JSON.stringify(input.payload)))
    .setProtectedHeader({ alg: ALGORITHM, typ: input.typ, kid: input.keyId })
    .sign(input.key);
}

/**
 * The key is chosen by `kid` from the keys given and from nowhere else; the algorithm is ours, never the
 * header's. A header may hold exactly `alg`, `typ` and `kid`: so there is no `crit`, `b64`, `jwk`, `jku`
 * or `x5u` to follow (RFC 8725 sections 3.1, 3.10 and 3.11).
 *
 * @throws {JwsError} always when the token is not exactly what it should be
 */
export async function verifyJws(input: {
  token: string;
  keys: ReadonlyMap<string, KeyObject>;
  typ: JwsType;
  maxBytes: number;
}): Promise<VerifiedJws> {
  const { token, keys, typ, maxBytes } = input;
  if (token.length > maxBytes)
    throw new JwsError('jws-too-large', `the token is longer than ${maxBytes} characters`);
  const parts = decodeParts(token);
  const keyId = readHeader(parts.header, typ);
  const key = keys.get(keyId);
  if (key === undefined) throw new JwsError('jws-key-unknown', 'the token names a key that is not trusted');
  if (parts.signature.length !== ED25519_SIGNATURE_BYTES)
    throw new JwsError('jws-signature-invalid', 'an Ed25519 signature has 64 bytes');
  await verifySignature(token, key);
  return { keyId, payload: readPayload(parts.payload, maxBytes) };
}

function decodeParts(token: string) {
  const [header, payload, signature, ...rest] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0)
    throw new JwsError('jws-malformed', 'a compact JWS has three parts');
  try {
    return {
      header: fromBase64Url(header),
      payload: fromBase64Url(payload),
      signature: fromBase64Url(signature),
    };
  } catch (cause) {
    throw new JwsError('jws-malformed', 'a part of the token is not canonical base64url', { cause });
  }
}

function readHeader(bytes: Uint8Array, typ: JwsType): string {
  const header = parseObject(bytes, MAX_HEADER_BYTES, 'jws-header-refused');
  if (header.alg !== ALGORITHM)
    throw new JwsError('jws-algorithm-refused', `the only algorithm is ${ALGORITHM}`);
  const extra = Object.keys(header).find((member) => !HEADER_MEMBERS.has(member));
  if (extra !== undefined)
    throw new JwsError('jws-header-refused', `header member ${JSON.stringify(extra)} is not allowed`);
  if (header.typ !== typ) throw new JwsError('jws-type-refused', `expected a token of type ${typ}`);
  if (typeof header.kid !== 'string') throw new JwsError('jws-header-refused', 'the header has no "kid"');
  return header.kid;
}

async function verifySignature(token: string, key: KeyObject): Promise<void> {
  try {
    await compactVerify(token, key, { algorithms: [ALGORITHM] });
  } catch (cause) {
    throw new JwsError('jws-signature-invalid', 'the signature does not verify', { cause });
  }
}

function readPayload(bytes: Uint8Array, maxBytes: number): JsonObject {
  return parseObject(bytes, maxBytes, 'jws-payload-refused');
}

function parseObject(bytes: Uint8Array, maxBytes: number, code: JwsErrorCode): JsonObject {
  try {
    const value = parseStrictJson(bytes, { maxBytes, maxDepth: 4 });
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new JwsError(code, 'not strict JSON', { cause });
  }
  throw new JwsError(code, 'not a JSON object');
}
