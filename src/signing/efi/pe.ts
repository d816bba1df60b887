import { concatBytes } from '../../core/bytes.ts';
import { EfiError } from './efi-error.ts';

/** Microsoft PE/COFF specification, "Section Table (Section Headers)". */
export interface PeSection {
  name: string;
  virtualAddress: number;
  virtualSize: number;
  fileOffset: number;
  fileSize: number;
  /** What the loader maps from the file, without the file's padding. A view, not a copy. */
  data: Uint8Array;
}

/** The attribute certificate table, and the part of the file in front of it. */
export interface PeCertificateTable {
  offset: number;
  size: number;
}

export interface PeImage {
  bytes: Uint8Array;
  machine: number;
  /** File offsets of the fields that a signature does not cover, and of those that assembly rewrites. */
  coffHeaderOffset: number;
  optionalHeaderOffset: number;
  checkSumOffset: number;
  certificateEntryOffset: number;
  sectionTableOffset: number;
  sectionAlignment: number;
  fileAlignment: number;
  sizeOfHeaders: number;
  sizeOfImage: number;
  /** In the order of the section table. */
  sections: readonly PeSection[];
  certificateTable: PeCertificateTable | undefined;
}

export const SECTION_HEADER_BYTES = 40;
const MAX_IMAGE_BYTES = 128 * 1024 * 1024;
const MAX_SECTIONS = 96;
const PE32_PLUS = 0x20b;
/** Optional header of PE32+ up to and with NumberOfRvaAndSizes. */
const FIXED_OPTIONAL_HEADER_BYTES = 112;
const CERTIFICATE_TABLE_ENTRY = 4;

/**
 * Reads a PE32+ image strictly: every offset is inside the file, sections overlap neither in the file nor
 * in memory, and a certificate table, if there is one, ends the file (Authenticode PE, "PE Image").
 */
export function parsePe(bytes: Uint8Array): PeImage {
  if (bytes.length > MAX_IMAGE_BYTES) malformed(`${bytes.length} bytes are more than an EFI image may have`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const coffHeaderOffset = locateCoffHeader(view);
  const optionalHeaderOffset = coffHeaderOffset + 20;
  const optionalHeaderBytes = view.getUint16(coffHeaderOffset + 16, true);
  const sectionTableOffset = optionalHeaderOffset + optionalHeaderBytes;
  const sectionCount = view.getUint16(coffHeaderOffset + 2, true);
  if (sectionCount === 0 || sectionCount > MAX_SECTIONS) malformed(`${sectionCount} sections`);
  requireInside(bytes, sectionTableOffset, sectionCount * SECTION_HEADER_BYTES, 'section table');
  const certificateEntryOffset = locateCertificateEntry(view, optionalHeaderOffset, optionalHeaderBytes);
  const sizeOfHeaders = view.getUint32(optionalHeaderOffset + 60, true);
  requireInside(bytes, 0, sizeOfHeaders, 'header');
  if (sectionTableOffset + sectionCount * SECTION_HEADER_BYTES > sizeOfHeaders)
    malformed('SizeOfHeaders does not cover the section table');
  const sections = Array.from({ length: sectionCount }, (_, index) =>
    readSection(bytes, view, sectionTableOffset + index * SECTION_HEADER_BYTES),
  );
  const certificateTable = readCertificateTable(view, certificateEntryOffset);
  requireDisjoint(sections, sizeOfHeaders, certificateTable?.offset ?? bytes.length);
  return {
    bytes,
    machine: view.getUint16(coffHeaderOffset, true),
    coffHeaderOffset,
    optionalHeaderOffset,
    checkSumOffset: optionalHeaderOffset + 64,
    certificateEntryOffset,
    sectionTableOffset,
    sectionAlignment: readAlignment(view, optionalHeaderOffset + 32, 'SectionAlignment'),
    fileAlignment: readAlignment(view, optionalHeaderOffset + 36, 'FileAlignment'),
    sizeOfHeaders,
    sizeOfImage: view.getUint32(optionalHeaderOffset + 56, true),
    sections,
    certificateTable,
  };
}

/** The end of the last section's data in the file. */
export function endOfSections(image: PeImage): number {
  return Math.max(
    image.sizeOfHeaders,
    ...image.sections.map(({ fileOffset, fileSize }) => fileOffset + fileSize),
  );
}

/**
 * The image without its signatures: the certificate table is cut off, its directory entry and the
 * checksum are zero, and the file ends on a multiple of 8, as signing will want it.
 */
export function stripSignatures(bytes: Uint8Array): Uint8Array {
  const image = parsePe(bytes);
  const end = image.certificateTable?.offset ?? bytes.length;
  const stripped = concatBytes(bytes.subarray(0, end), new Uint8Array(-end & 7));
  stripped.fill(0, image.checkSumOffset, image.checkSumOffset + 4);
  stripped.fill(0, image.certificateEntryOffset, image.certificateEntryOffset + 8);
  return stripped;
}

function locateCoffHeader(view: DataView): number {
  if (view.byteLength < 64 || view.getUint16(0, true) !== 0x5a4d) malformed('no MZ header');
  const signatureOffset = view.getUint32(0x3c, true);
  if (signatureOffset + 4 + 20 + FIXED_OPTIONAL_HEADER_BYTES > view.byteLength)
    malformed('the PE header lies outside the file');
  if (view.getUint32(signatureOffset, true) !== 0x4550) malformed('no PE signature');
  return signatureOffset + 4;
}

/** Data directory entry 4; unlike the others it holds a file offset ("Optional Header Data Directories"). */
function locateCertificateEntry(
  view: DataView,
  optionalHeaderOffset: number,
  optionalHeaderBytes: number,
): number {
  if (view.getUint16(optionalHeaderOffset, true) !== PE32_PLUS) malformed('not a PE32+ image');
  const directories = view.getUint32(optionalHeaderOffset + 108, true);
  if (directories > 16 || FIXED_OPTIONAL_HEADER_BYTES + directories * 8 > optionalHeaderBytes)
    malformed('the data directories do not fit the optional header');
  if (directories <= CERTIFICATE_TABLE_ENTRY) malformed('no data directory entry for certificates');
  return optionalHeaderOffset + FIXED_OPTIONAL_HEADER_BYTES + CERTIFICATE_TABLE_ENTRY * 8;
}

function readSection(bytes: Uint8Array, view: DataView, offset: number): PeSection {
  const virtualSize = view.getUint32(offset + 8, true);
  const fileSize = view.getUint32(offset + 16, true);
  const fileOffset = view.getUint32(offset + 20, true);
  const name = readName(bytes.subarray(offset, offset + 8));
  requireInside(bytes, fileOffset, fileSize, `section ${name}`);
  return {
    name,
    virtualAddress: view.getUint32(offset + 12, true),
    virtualSize,
    fileOffset,
    fileSize,
    data: bytes.subarray(fileOffset, fileOffset + Math.min(virtualSize, fileSize)),
  };
}

function readName(field: Uint8Array): string {
  const name = Buffer.from(field).toString('latin1').replace(/\0+$/, '');
  if (!/^[!-~]{1,8}$/.test(name)) malformed('a section name is empty or not printable');
  return name;
}

function readCertificateTable(view: DataView, entryOffset: number): PeCertificateTable | undefined {
  const offset = view.getUint32(entryOffset, true);
  const size = view.getUint32(entryOffset + 4, true);
  if (offset === 0 && size === 0) return undefined;
  if (size === 0 || offset % 8 !== 0 || offset + size !== view.byteLength)
    malformed('the certificate table is not the aligned end of the file');
  return { offset, size };
}

function readAlignment(view: DataView, offset: number, field: string): number {
  const alignment = view.getUint32(offset, true);
  const isPowerOfTwo = alignment > 0 && (alignment & (alignment - 1)) === 0;
  if (!isPowerOfTwo || alignment > 65536) malformed(`${field} is ${alignment}`);
  return alignment;
}

function requireDisjoint(sections: readonly PeSection[], sizeOfHeaders: number, fileEnd: number): void {
  const inFile = sections.filter(({ fileSize }) => fileSize > 0).sort((a, b) => a.fileOffset - b.fileOffset);
  let end = sizeOfHeaders;
  for (const { name, fileOffset, fileSize } of inFile) {
    if (fileOffset < end) malformed(`section ${name} overlaps what precedes it in the file`);
    end = fileOffset + fileSize;
  }
  if (end > fileEnd) malformed('the last section overlaps the certificate table');
  let address = sizeOfHeaders;
  for (const section of [...sections].sort((a, b) => a.virtualAddress - b.virtualAddress)) {
    if (section.virtualAddress < address) malformed(`section ${section.name} overlaps another in memory`);
    address = section.virtualAddress + section.virtualSize;
  }
}

function requireInside(bytes: Uint8Array, offset: number, length: number, what: string): void {
  if (offset + length > bytes.length) malformed(`the ${what} ends beyond the file`);
}

function malformed(message: string): never {
  throw new EfiError('pe-malformed', `not a valid PE image: ${message}`);
}
