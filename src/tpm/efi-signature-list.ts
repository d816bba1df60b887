import { StructureReader } from './reader.ts';
import { formatGuid, GUID_BYTES } from './uefi-guid.ts';

/** One EFI_SIGNATURE_DATA: what a signature database (`db`, `dbx`, KEK) holds (UEFI 2.10, section 32.4.1). */
export interface EfiSignature {
  kind: 'x509' | 'sha256' | 'other';
  /** A certificate in DER, a digest of an image, or what another type of list holds. */
  data: Uint8Array;
}

const KINDS: Readonly<Record<string, EfiSignature['kind']>> = {
  'a5c059a1-94e4-4aa7-87b5-ab155c2bf072': 'x509',
  'c1c41626-504c-4092-aca9-41f936934328': 'sha256',
};
const HEADER_BYTES = GUID_BYTES + 12;
const SHA256_BYTES = 32;
/** dbx has some hundreds, db a handful. */
const MAX_SIGNATURES = 4096;

/**
 * The content of a signature database: any number of EFI_SIGNATURE_LISTs, to the last byte.
 *
 * @throws {TpmFormatError}
 */
export function parseSignatureLists(content: Uint8Array): EfiSignature[] {
  const reader = new StructureReader(content, 'EFI_SIGNATURE_LIST', 'little');
  const signatures: EfiSignature[] = [];
  while (reader.remaining > 0) {
    signatures.push(...readList(reader));
    if (signatures.length > MAX_SIGNATURES) reader.unsupported(`more than ${MAX_SIGNATURES} signatures`);
  }
  return signatures;
}

function readList(reader: StructureReader): EfiSignature[] {
  const kind = KINDS[formatGuid(reader.fixed(GUID_BYTES))] ?? 'other';
  const listBytes = reader.u32();
  const headerBytes = reader.u32();
  const signatureBytes = reader.u32();
  const bodyBytes = listBytes - HEADER_BYTES - headerBytes;
  if (signatureBytes <= GUID_BYTES || bodyBytes < 0 || bodyBytes % signatureBytes !== 0)
    reader.invalid(`a list of ${listBytes} bytes with signatures of ${signatureBytes}`);
  if (kind === 'sha256' && signatureBytes !== GUID_BYTES + SHA256_BYTES)
    reader.invalid(`SHA-256 signatures of ${signatureBytes} bytes`);
  if (bodyBytes / signatureBytes > MAX_SIGNATURES)
    reader.unsupported(`more than ${MAX_SIGNATURES} signatures`);
  reader.skip(headerBytes);
  return Array.from({ length: bodyBytes / signatureBytes }, () => {
    reader.skip(GUID_BYTES);
    return { kind, data: reader.fixed(signatureBytes - GUID_BYTES) };
  });
}
