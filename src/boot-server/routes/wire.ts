import { type Static, Type } from 'typebox';
import { FLOOR_RECORD_BYTES } from '../../attestation/floor/floor-record.ts';
import { EncodingError, fromBase64 } from '../../core/bytes.ts';
import { CHANNEL_NAME_PATTERN } from '../../signing/names.ts';
import { Problem } from '../problems.ts';

/** The shapes of docs/protocol.md that several calls share. */

const closed = { additionalProperties: false };

export const ChannelName = Type.String({ pattern: CHANNEL_NAME_PATTERN });

export const Sha256Hex = Type.String({ pattern: '^[0-9a-f]{64}$' });

/** TPM Name with SHA-256: algorithm and digest. */
export const AkNameHex = Type.String({ pattern: '^000b[0-9a-f]{64}$' });

export const NodeId = Type.String({ pattern: '^n-[0-9a-f]{20}$' });

export const EnrolmentId = Type.String({ pattern: '^[0-9a-f]{32}$' });

/** Checked for its one spelling when it is decoded. */
export const base64 = (maxBytes: number) =>
  Type.String({ minLength: 4, maxLength: Math.ceil(maxBytes / 3) * 4 });

export const MAX_EVENT_LOG_BYTES = 512 * 1024;
const MAX_REPORT_BYTES = 16 * 1024;

export const EvidenceBody = Type.Object(
  {
    challenge: Type.String({ minLength: 1, maxLength: 4096, pattern: '^[A-Za-z0-9_.-]+$' }),
    claims: base64(4096),
    attest: base64(2304),
    signature: base64(1024),
    pcrs: Type.Object(
      {
        sha256: Type.Record(Type.String({ pattern: '^(?:[0-9]|1[0-9]|2[0-3])$' }), Sha256Hex, {
          ...closed,
          maxProperties: 24,
        }),
      },
      closed,
    ),
    // Bounded where it is decoded: a schema's lengths are counted in characters, which takes milliseconds here.
    eventLog: Type.Optional(Type.String()),
    floor: Type.Optional(
      Type.Object(
        { attest: base64(2304), signature: base64(1024), contents: base64(FLOOR_RECORD_BYTES) },
        closed,
      ),
    ),
    report: Type.Optional(base64(MAX_REPORT_BYTES)),
  },
  closed,
);

export type EvidenceBody = Static<typeof EvidenceBody>;

/** @throws {Problem} `request-invalid`, naming the field */
export function decodeBase64(field: string, text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    if (cause instanceof EncodingError)
      throw new Problem('request-invalid', `body.${field}: ${cause.message}`, { members: { field }, cause });
    throw cause;
  }
}
