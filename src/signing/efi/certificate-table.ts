import { concatBytes } from '../../core/bytes.ts';
import { EfiError } from './efi-error.ts';
import { type PeImage, parsePe, stripSignatures } from './pe.ts';

// The attribute certificate table (Microsoft PE/COFF specification, "The Attribute Certificate Table"):
// entries of dwLength, wRevision, wCertificateType and the certificate, each on a multiple of 8.

const HEADER_BYTES = 8;
const REVISION_2_0 = 0x0200;
const PKCS_SIGNED_DATA = 0x0002;
const MAX_SIGNATURES = 16;

/** The PKCS#7 signatures of an image in their order, without padding; empty when it is not signed. */
export function readSignatures({ bytes, certificateTable }: PeImage): Uint8Array[] {
  if (certificateTable === undefined) return [];
  const table = bytes.subarray(certificateTable.offset, certificateTable.offset + certificateTable.size);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const signatures: Uint8Array[] = [];
  for (let offset = 0; offset < table.length; ) {
    if (table.length - offset < HEADER_BYTES) malformed('ends within an entry');
    const length = view.getUint32(offset, true);
    if (length <= HEADER_BYTES || length > table.length - offset)
      malformed(`has an entry of ${length} bytes`);
    if (view.getUint16(offset + 4, true) !== REVISION_2_0) malformed('has an entry of another revision');
    if (view.getUint16(offset + 6, true) !== PKCS_SIGNED_DATA) malformed('has an entry that is not PKCS#7');
    const end = offset + length + (-length & 7);
    if (end > table.length) malformed('ends within the padding of an entry');
    signatures.push(withoutPadding(table.subarray(offset + HEADER_BYTES, end)));
    if (signatures.length > MAX_SIGNATURES) malformed(`has more than ${MAX_SIGNATURES} entries`);
    offset = end;
  }
  return signatures;
}

/** The image with exactly these signatures, and the checksum that goes with them. */
export function writeSignatures(bytes: Uint8Array, signatures: readonly Uint8Array[]): Uint8Array {
  const unsigned = stripSignatures(bytes);
  const table = concatBytes(...signatures.map(toEntry));
  const signed = new Uint8Array(concatBytes(unsigned, table));
  const { certificateEntryOffset, checkSumOffset } = parsePe(unsigned);
  const view = new DataView(signed.buffer);
  if (table.length > 0) {
    view.setUint32(certificateEntryOffset, unsigned.length, true);
    view.setUint32(certificateEntryOffset + 4, table.length, true);
  }
  view.setUint32(checkSumOffset, checkSumOf(signed), true);
  return signed;
}

/** dwLength counts the padding, as signing tools have it and Linux's kexec expects it. */
function toEntry(signature: Uint8Array): Uint8Array {
  const entry = new Uint8Array(HEADER_BYTES + signature.length + (-signature.length & 7));
  const view = new DataView(entry.buffer);
  view.setUint32(0, entry.length, true);
  view.setUint16(4, REVISION_2_0, true);
  view.setUint16(6, PKCS_SIGNED_DATA, true);
  entry.set(signature, HEADER_BYTES);
  return entry;
}

/**
 * What ImageHlp's CheckSumMappedFile computes: the 16-bit one's complement sum, plus the length. The
 * checksum field itself is zero here.
 */
function checkSumOf(bytes: Uint8Array<ArrayBuffer>): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) sum += view.getUint16(offset, true);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum + bytes.length;
}

/** Behind the DER there are at most 7 bytes, all zero: nothing travels hidden in an entry. */
function withoutPadding(entry: Uint8Array): Uint8Array {
  const length = derLength(entry);
  const padding = entry.subarray(length);
  if (length > entry.length || padding.length > 7 || padding.some((byte) => byte !== 0))
    malformed('has an entry whose length is not that of its content');
  return entry.subarray(0, length);
}

/** X.690 section 8.1.3; a signature has more than 255 bytes, so its length takes two or three. */
function derLength(entry: Uint8Array): number {
  const [tag, form, a = 0, b = 0, c = 0] = entry;
  if (tag === 0x30 && form === 0x82) return 4 + a * 0x100 + b;
  if (tag === 0x30 && form === 0x83) return 5 + a * 0x10000 + b * 0x100 + c;
  return malformed('has an entry that is no DER sequence');
}

function malformed(what: string): never {
  throw new EfiError('pe-malformed', `not a valid PE image: the certificate table ${what}`);
}
