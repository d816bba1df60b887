import { concatBytes } from '../../core/bytes.ts';
import { EfiError } from './efi-error.ts';
import type { PeImage } from './pe.ts';
import { endOfSections, parsePe, SECTION_HEADER_BYTES } from './pe.ts';

/** The payload of a unified kernel image (UAPI group specification, "Unified Kernel Image"). */
export interface UkiSections {
  osRelease: Uint8Array;
  /** Printable ASCII; systemd-stub takes the section's bytes, which end with one NUL. */
  cmdline: string;
  initramfs: Uint8Array;
  kernel: Uint8Array;
}

interface NewSection {
  name: string;
  data: Uint8Array;
}

const PAGE_BYTES = 4096;
const INITIALIZED_READABLE_DATA = 0x4000_0040;
const PRINTABLE_ASCII = /^[ -~]{1,2047}$/;

/**
 * Appends the payload to systemd-stub. The same input gives the same bytes: no time stamp, no symbol
 * table (the one that the stub carries behind its last section is cut off), no checksum.
 */
export function assembleUki({ stub, sections }: { stub: Uint8Array; sections: UkiSections }): Uint8Array {
  const image = parsePe(stub);
  if (image.certificateTable !== undefined) invalid('the stub is signed already: strip it first');
  const added = payloadOf(sections);
  requireRoom(image, added);
  const header = new Uint8Array(stub.subarray(0, image.sizeOfHeaders)); // a copy: Buffer's slice is none
  const parts: Uint8Array[] = [
    header,
    padded(stub.subarray(image.sizeOfHeaders, endOfSections(image)), image),
  ];
  const view = new DataView(header.buffer);
  let fileOffset = header.length + (parts[1]?.length ?? 0);
  let virtualAddress = alignUp(endInMemory(image), PAGE_BYTES);
  for (const [index, { name, data }] of added.entries()) {
    const raw = padded(data, image);
    const headerOffset = image.sectionTableOffset + (image.sections.length + index) * SECTION_HEADER_BYTES;
    writeSectionHeader(view, headerOffset, {
      name,
      virtualSize: data.length,
      virtualAddress,
      fileSize: raw.length,
      fileOffset,
    });
    parts.push(raw);
    fileOffset += raw.length;
    virtualAddress = alignUp(virtualAddress + data.length, PAGE_BYTES);
  }
  finishHeader(view, image, { addedSections: added.length, sizeOfImage: virtualAddress });
  return concatBytes(...parts);
}

function payloadOf({ osRelease, cmdline, initramfs, kernel }: UkiSections): NewSection[] {
  if (!PRINTABLE_ASCII.test(cmdline))
    invalid('the command line must be 1 to 2047 printable ASCII characters');
  const payload = [
    { name: '.osrel', data: osRelease },
    { name: '.cmdline', data: Buffer.from(`${cmdline}\0`, 'latin1') },
    { name: '.initrd', data: initramfs },
    { name: '.linux', data: kernel },
  ];
  for (const { name, data } of payload) if (data.length === 0) invalid(`section ${name} is empty`);
  return payload;
}

function requireRoom(image: PeImage, added: readonly NewSection[]): void {
  for (const { name } of added)
    if (image.sections.some((section) => section.name === name))
      invalid(`the stub already has a section ${name}`);
  const tableEnd = image.sectionTableOffset + (image.sections.length + added.length) * SECTION_HEADER_BYTES;
  if (tableEnd > image.sizeOfHeaders) invalid("the stub's header has no room for more sections");
}

function endInMemory(image: PeImage): number {
  return Math.max(...image.sections.map(({ virtualAddress, virtualSize }) => virtualAddress + virtualSize));
}

/** "Section Table (Section Headers)": no relocations, no line numbers. */
function writeSectionHeader(
  view: DataView,
  offset: number,
  section: {
    name: string;
    virtualSize: number;
    virtualAddress: number;
    fileSize: number;
    fileOffset: number;
  },
): void {
  const header = new Uint8Array(view.buffer, offset, SECTION_HEADER_BYTES).fill(0);
  header.set(Buffer.from(section.name, 'latin1'));
  view.setUint32(offset + 8, section.virtualSize, true);
  view.setUint32(offset + 12, section.virtualAddress, true);
  view.setUint32(offset + 16, section.fileSize, true);
  view.setUint32(offset + 20, section.fileOffset, true);
  view.setUint32(offset + 36, INITIALIZED_READABLE_DATA, true);
}

function finishHeader(
  view: DataView,
  image: PeImage,
  { addedSections, sizeOfImage }: { addedSections: number; sizeOfImage: number },
): void {
  view.setUint16(image.coffHeaderOffset + 2, image.sections.length + addedSections, true);
  view.setUint32(image.coffHeaderOffset + 4, 0, true); // TimeDateStamp
  view.setUint32(image.coffHeaderOffset + 8, 0, true); // PointerToSymbolTable
  view.setUint32(image.coffHeaderOffset + 12, 0, true); // NumberOfSymbols
  view.setUint32(image.optionalHeaderOffset + 56, alignUp(sizeOfImage, image.sectionAlignment), true);
  view.setUint32(image.checkSumOffset, 0, true);
}

function padded(data: Uint8Array, image: PeImage): Uint8Array {
  return concatBytes(data, new Uint8Array(alignUp(data.length, image.fileAlignment) - data.length));
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

function invalid(message: string): never {
  throw new EfiError('uki-invalid', message);
}
