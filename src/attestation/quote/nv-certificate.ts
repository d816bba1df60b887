import { Refusal } from '../reasons.ts';

const MAX_CERTIFICATE_BYTES = 8192;
const TCG_HEADER_BYTES = 7;

/**
 * The certificate's own bytes out of what an NV index held (E11): firmware may put the 7-byte header
 * TCG_PCCLIENT_STORED_CERT in front (0x1001, type 0, size, 0x1002) and fill the index with 0x00 or 0xff
 * behind. Neither may change the identity, and nothing else may stand there.
 *
 * @throws {Refusal} `ek-certificate-malformed`
 */
export function unwrapNvCertificate(stored: Uint8Array): Uint8Array {
  if (stored.length > MAX_CERTIFICATE_BYTES)
    refuse(`${stored.length} bytes, at most ${MAX_CERTIFICATE_BYTES}`);
  const bytes = hasTcgHeader(stored) ? stored.subarray(TCG_HEADER_BYTES) : stored;
  const length = derLength(bytes);
  const padding = bytes.subarray(length);
  const fill = padding[0];
  if (fill !== undefined && ((fill !== 0x00 && fill !== 0xff) || padding.some((byte) => byte !== fill)))
    refuse('there are other bytes behind it');
  return bytes.subarray(0, length);
}

function hasTcgHeader(bytes: Uint8Array): boolean {
  return (
    bytes[0] === 0x10 && bytes[1] === 0x01 && bytes[2] === 0x00 && bytes[5] === 0x10 && bytes[6] === 0x02
  );
}

/** Total length of the outermost SEQUENCE: definite, minimal, long enough for any certificate. */
function derLength(bytes: Uint8Array): number {
  const [tag, form, high, low] = bytes;
  if (tag !== 0x30 || form !== 0x82 || high === undefined || low === undefined)
    return refuse('it is not a DER certificate');
  const length = 4 + 256 * high + low;
  if (length > bytes.length || length < 4 + 256) return refuse('it is cut off');
  return length;
}

function refuse(why: string): never {
  throw new Refusal('ek-certificate-malformed', `EK certificate: ${why}`);
}
