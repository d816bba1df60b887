import { formatDevicePath } from './device-path.ts';
import { StructureReader } from './reader.ts';
import { formatGuid, GUID_BYTES, nameOfGuid } from './uefi-guid.ts';

// What UEFI firmware puts into events beside variables. Only for people to read: none of it is believed
// beyond what the event's digest covers. Each reader throws TpmFormatError.

export interface ImageLoadEvent {
  imageBytes: bigint;
  devicePath: string;
}

/** UEFI_IMAGE_LOAD_EVENT (PFP, section 10.2.3). shim and GRUB leave padding behind the path. */
export function parseImageLoadEvent(data: Uint8Array): ImageLoadEvent {
  const reader = new StructureReader(data, 'UEFI_IMAGE_LOAD_EVENT', 'little');
  reader.u64(); // ImageLocationInMemory
  const imageBytes = reader.u64();
  reader.u64(); // ImageLinkTimeAddress
  const pathBytes = reader.u64();
  if (pathBytes > reader.remaining) reader.invalid(`a device path of ${pathBytes} bytes`);
  return { imageBytes, devicePath: pathBytes === 0n ? '' : formatDevicePath(reader) };
}

export interface GptEvent {
  diskGuid: string;
  partitions: { type: string; name: string }[];
}

const GPT_HEADER_BYTES = 92;
const GPT_DISK_GUID_OFFSET = 56;
const GPT_ENTRY_BYTES = 128;
const GPT_NAME_OFFSET = 56;
/** What a GPT has room for by default (UEFI 2.10, section 5.3.1). */
const MAX_PARTITIONS = 128;

/** UEFI_GPT_DATA (PFP, section 10.2.5): the table's header and the entries in use. */
export function parseGptEvent(data: Uint8Array): GptEvent {
  const reader = new StructureReader(data, 'UEFI_GPT_DATA', 'little');
  const header = reader.fixed(GPT_HEADER_BYTES);
  const count = reader.u64();
  if (count > MAX_PARTITIONS) reader.invalid(`${count} partitions`);
  const partitions = Array.from({ length: Number(count) }, () => {
    const entry = reader.fixed(GPT_ENTRY_BYTES);
    const name = Buffer.from(entry.subarray(GPT_NAME_OFFSET)).toString('utf16le');
    return { type: nameOfGuid(entry.subarray(0, GUID_BYTES)), name: name.replace(/\0.*$/s, '') };
  });
  reader.end();
  return { diskGuid: formatGuid(header.subarray(GPT_DISK_GUID_OFFSET)), partitions };
}

const MAX_TABLES = 64;

/** UEFI_HANDOFF_TABLE_POINTERS (PFP, section 10.2.4): the names of the tables that were measured. */
export function parseHandoffTables(data: Uint8Array): string[] {
  const reader = new StructureReader(data, 'UEFI_HANDOFF_TABLE_POINTERS', 'little');
  return readTables(reader);
}

/** UEFI_HANDOFF_TABLE_POINTERS2: the same behind a description. */
export function parseHandoffTables2(data: Uint8Array): string[] {
  const reader = new StructureReader(data, 'UEFI_HANDOFF_TABLE_POINTERS2', 'little');
  reader.fixed(reader.u8());
  return readTables(reader);
}

function readTables(reader: StructureReader): string[] {
  const count = reader.u64();
  if (count > MAX_TABLES) reader.invalid(`${count} tables`);
  const names = Array.from({ length: Number(count) }, () => {
    const name = nameOfGuid(reader.fixed(GUID_BYTES));
    reader.u64(); // VendorTable, a pointer
    return name;
  });
  reader.end();
  return names;
}

export interface FirmwareBlob {
  description: string;
  base: bigint;
  length: bigint;
}

/** UEFI_PLATFORM_FIRMWARE_BLOB (PFP, section 10.2.2). */
export function parseFirmwareBlob(data: Uint8Array): FirmwareBlob {
  return readBlob(new StructureReader(data, 'UEFI_PLATFORM_FIRMWARE_BLOB', 'little'), '');
}

/** UEFI_PLATFORM_FIRMWARE_BLOB2: the same behind a description. */
export function parseFirmwareBlob2(data: Uint8Array): FirmwareBlob {
  const reader = new StructureReader(data, 'UEFI_PLATFORM_FIRMWARE_BLOB2', 'little');
  const description = Buffer.from(reader.fixed(reader.u8())).toString('latin1');
  return readBlob(reader, description);
}

function readBlob(reader: StructureReader, description: string): FirmwareBlob {
  const base = reader.u64();
  const length = reader.u64();
  reader.end();
  return { description, base, length };
}

/** EFI_LOAD_OPTION (UEFI 2.10, section 3.1.3): what the boot menu calls it, and the first of its paths. */
export function parseLoadOption(data: Uint8Array): { description: string; devicePath: string } {
  const reader = new StructureReader(data, 'EFI_LOAD_OPTION', 'little');
  reader.u32(); // Attributes
  reader.u16(); // FilePathListLength
  let description = '';
  for (let unit = reader.u16(); unit !== 0; unit = reader.u16()) description += String.fromCharCode(unit);
  return { description, devicePath: formatDevicePath(reader) };
}
