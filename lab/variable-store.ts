import { concatBytes } from '../src/core/bytes.ts';
import { LabError } from './lab-error.ts';

/** A UEFI variable as the firmware's store holds it (UEFI 2.10, section 8.2). */
export interface FirmwareVariable {
  /** GUID in its usual spelling, lower case. */
  vendor: string;
  name: string;
  attributes: number;
  data: Uint8Array;
  /** Only time-based authenticated variables carry one; seconds, UTC. */
  epochSeconds?: number;
}

export const ATTRIBUTES = {
  /** NON_VOLATILE, BOOTSERVICE_ACCESS */
  bootOnly: 0x03,
  /** the same and RUNTIME_ACCESS */
  runtime: 0x07,
  /** the same and TIME_BASED_AUTHENTICATED_WRITE_ACCESS */
  authenticated: 0x27,
} as const;

/**
 * EDK2's layout: MdePkg/Include/Pi/PiFirmwareVolume.h, MdeModulePkg/Include/Guid/VariableFormat.h
 * (EFI_FIRMWARE_VOLUME_HEADER, VARIABLE_STORE_HEADER, AUTHENTICATED_VARIABLE_HEADER).
 */
const AUTHENTICATED_STORE = 'aaf32c78-947b-439a-a180-2e144ec37792';
const STORE_HEADER_BYTES = 28;
const VARIABLE_HEADER_BYTES = 60;
const START_OF_VARIABLE = 0x55aa;
const VAR_ADDED = 0x3f;
const STORE_FORMATTED = 0x5a;
const STORE_HEALTHY = 0xfe;

/** The valid variables of an OVMF_VARS file, in their order. Deleted ones are left out. */
export function parseVariableStore(store: Uint8Array): FirmwareVariable[] {
  const { start, end } = locateStore(store);
  const view = viewOf(store);
  const variables: FirmwareVariable[] = [];
  let offset = start;
  while (offset + VARIABLE_HEADER_BYTES <= end && view.getUint16(offset, true) === START_OF_VARIABLE) {
    const nameEnd = offset + VARIABLE_HEADER_BYTES + view.getUint32(offset + 36, true);
    const dataEnd = nameEnd + view.getUint32(offset + 40, true);
    if (dataEnd > end) malformed('a variable ends beyond the store');
    if (store[offset + 2] === VAR_ADDED) variables.push(readVariable(store, offset, nameEnd, dataEnd));
    offset = alignUp(dataEnd);
  }
  if (store.subarray(offset, end).some((byte) => byte !== 0xff)) malformed('the free space is not erased');
  return variables;
}

/** A store with these variables set, in place of those of the same name; the others stay. */
export function setVariables(store: Uint8Array, wanted: readonly FirmwareVariable[]): Uint8Array {
  const { start, end } = locateStore(store);
  const key = ({ vendor, name }: FirmwareVariable) => `${vendor} ${name}`;
  const replaced = new Set(wanted.map(key));
  if (replaced.size !== wanted.length) malformed('a variable is set twice');
  const kept = parseVariableStore(store).filter((variable) => !replaced.has(key(variable)));
  const body = concatBytes(...[...kept, ...wanted].map(writeVariable));
  if (body.length > end - start)
    throw new LabError('varstore-full', `${body.length} bytes do not fit the store`);
  const out = new Uint8Array(store);
  out.fill(0xff, start, end).set(body, start);
  return out;
}

function locateStore(store: Uint8Array): { start: number; end: number } {
  const view = viewOf(store);
  if (store.length < 256 || text(store, 40, 44) !== '_FVH') malformed('no firmware volume header');
  const header = view.getUint16(48, true);
  if (header + STORE_HEADER_BYTES > store.length) malformed('the volume header is longer than the file');
  if (readGuid(store, header) !== AUTHENTICATED_STORE) malformed('no authenticated variable store');
  const size = view.getUint32(header + 16, true);
  if (size <= STORE_HEADER_BYTES || header + size > store.length)
    malformed('the store is longer than the file');
  if (store[header + 20] !== STORE_FORMATTED || store[header + 21] !== STORE_HEALTHY)
    malformed('the store is not formatted');
  return { start: header + STORE_HEADER_BYTES, end: header + size };
}

function readVariable(store: Uint8Array, offset: number, nameEnd: number, dataEnd: number): FirmwareVariable {
  const view = viewOf(store);
  const name = Buffer.from(store.subarray(offset + VARIABLE_HEADER_BYTES, nameEnd)).toString('utf16le');
  if (!name.endsWith('\0')) malformed('a variable has a name without end');
  const epochSeconds = readTime(view, offset + 16);
  return {
    vendor: readGuid(store, offset + 44),
    name: name.slice(0, -1),
    attributes: view.getUint32(offset + 4, true),
    data: store.slice(nameEnd, dataEnd),
    ...(epochSeconds === undefined ? {} : { epochSeconds }),
  };
}

function writeVariable({ vendor, name, attributes, data, epochSeconds }: FirmwareVariable): Uint8Array {
  const nameBytes = Buffer.from(`${name}\0`, 'utf16le');
  const header = new Uint8Array(VARIABLE_HEADER_BYTES);
  const view = viewOf(header);
  view.setUint16(0, START_OF_VARIABLE, true);
  view.setUint8(2, VAR_ADDED);
  view.setUint32(4, attributes, true);
  if (epochSeconds !== undefined) writeTime(view, 16, epochSeconds);
  view.setUint32(36, nameBytes.length, true);
  view.setUint32(40, data.length, true);
  header.set(guidBytes(vendor), 44);
  const length = header.length + nameBytes.length + data.length;
  return concatBytes(header, nameBytes, data, new Uint8Array(alignUp(length) - length).fill(0xff));
}

/** EFI_TIME (UEFI 2.10, section 8.3): year, month, day, hour, minute, second. All zero means none. */
function readTime(view: DataView, offset: number): number | undefined {
  const year = view.getUint16(offset, true);
  if (year === 0) return undefined;
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = [2, 3, 4, 5, 6].map((at) =>
    view.getUint8(offset + at),
  );
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
}

function writeTime(view: DataView, offset: number, epochSeconds: number): void {
  const date = new Date(epochSeconds * 1000);
  view.setUint16(offset, date.getUTCFullYear(), true);
  const fields = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  for (const [index, field] of fields.entries()) view.setUint8(offset + 2 + index, field);
}

/** EFI_GUID: the first three groups are little-endian. */
export function guidBytes(guid: string): Uint8Array {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  if (bytes.length !== 16) malformed(`${guid} is no GUID`);
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function readGuid(bytes: Uint8Array, offset: number): string {
  const copy = Buffer.from(bytes.slice(offset, offset + 16));
  copy.subarray(0, 4).reverse();
  copy.subarray(4, 6).reverse();
  copy.subarray(6, 8).reverse();
  return copy.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function alignUp(value: number): number {
  return (value + 3) & ~3;
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('latin1');
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function malformed(message: string): never {
  throw new LabError('varstore-malformed', `not a valid variable store: ${message}`);
}
