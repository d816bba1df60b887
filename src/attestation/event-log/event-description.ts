import { toHex } from '../../core/bytes.ts';
import { toPrintable } from '../../core/printable.ts';
import { TpmFormatError } from '../../tpm/errors.ts';
import type { LogEvent } from '../../tpm/event-log.ts';
import {
  parseFirmwareBlob,
  parseFirmwareBlob2,
  parseGptEvent,
  parseHandoffTables,
  parseHandoffTables2,
  parseImageLoadEvent,
} from '../../tpm/event-structures.ts';
import { EVENT_TYPE, eventTypeName } from '../../tpm/event-types.ts';
import { GUID_BYTES, nameOfGuid } from '../../tpm/uefi-guid.ts';
import { readUefiVariable, type UefiVariableData } from '../../tpm/uefi-variable-data.ts';
import { describeAuthority, describeVariable } from './variable-description.ts';

const MAX_SUBJECT = 80;
const MAX_CONTENT = 200;
const BYTE_COUNTS = ['empty', '1 byte'];
/** Of texts that firmware and loaders log: a kernel's command line is the longest. */
const MAX_TEXT_BYTES = 400;

type Describe = (data: Uint8Array) => string | undefined;

const DESCRIBE: ReadonlyMap<number, Describe> = new Map<number, Describe>([
  [EVENT_TYPE.EV_SEPARATOR, describeSeparator],
  [EVENT_TYPE.EV_NO_ACTION, describeNoAction],
  [EVENT_TYPE.EV_S_CRTM_VERSION, describeVersion],
  [EVENT_TYPE.EV_EVENT_TAG, describeTagged],
  [EVENT_TYPE.EV_POST_CODE, (data) => describeBlob(parseFirmwareBlob(data))],
  [EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION, describeImage],
  [EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER, describeImage],
  [EVENT_TYPE.EV_EFI_RUNTIME_SERVICES_DRIVER, describeImage],
  [EVENT_TYPE.EV_EFI_GPT_EVENT, describeGpt],
  [EVENT_TYPE.EV_EFI_GPT_EVENT2, describeGpt],
  [EVENT_TYPE.EV_EFI_HANDOFF_TABLES, (data) => listOf(parseHandoffTables(data))],
  [EVENT_TYPE.EV_EFI_HANDOFF_TABLES2, (data) => listOf(parseHandoffTables2(data))],
  [EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB, (data) => describeBlob(parseFirmwareBlob(data))],
  [EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB2, (data) => describeBlob(parseFirmwareBlob2(data))],
]);

const VARIABLE_TYPES: ReadonlySet<number> = new Set([
  EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
  EVENT_TYPE.EV_EFI_VARIABLE_BOOT,
  EVENT_TYPE.EV_EFI_VARIABLE_BOOT2,
  EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
]);
/** Of these a variable's name alone says which it is. */
const KNOWN_VENDORS: readonly string[] = ['EFI_GLOBAL_VARIABLE', 'EFI_IMAGE_SECURITY_DATABASE', 'SHIM_LOCK'];

/** Whoever wrote the event, both are short printable ASCII. Whether they are true: {@link ./event-data.ts}. */
export interface EventDescription {
  /** What the event is about, so that its counterpart in another log can be found: "db", or its type. */
  subject: string;
  /** What its data says of it, in a few words. */
  content: string;
}

export function describeEvent({ type, data }: LogEvent): EventDescription {
  const variable = VARIABLE_TYPES.has(type) ? readVariable(data) : undefined;
  const subject = variable === undefined ? eventTypeName(type) : nameOfVariable(type, variable);
  const describe = type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY ? describeAuthority : describeVariable;
  const content = readOrUndefined(() =>
    variable === undefined ? DESCRIBE.get(type)?.(data) : describe(variable),
  );
  return {
    subject: toPrintable(subject, MAX_SUBJECT),
    content: toPrintable(content ?? describeBytes(variable?.content ?? data), MAX_CONTENT),
  };
}

/** shim before 15.5 logs one byte too many ({@link ./event-data.ts}). */
function readVariable(data: Uint8Array): UefiVariableData | undefined {
  return readUefiVariable(data) ?? readUefiVariable(data.subarray(0, -1));
}

/** An authority is the entry of a variable that verified something, not the variable. */
function nameOfVariable(type: number, { name, vendorGuid }: UefiVariableData): string {
  const known = KNOWN_VENDORS.includes(nameOfGuid(vendorGuid))
    ? name
    : `${name} of ${nameOfGuid(vendorGuid)}`;
  return type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY ? `authority from ${known}` : known;
}

function readOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof TpmFormatError) return undefined;
    throw cause;
  }
}

function describeImage(data: Uint8Array): string {
  const { devicePath, imageBytes } = parseImageLoadEvent(data);
  return `${devicePath || 'an image without device path'}, ${imageBytes} bytes`;
}

function describeGpt(data: Uint8Array): string {
  const { diskGuid, partitions } = parseGptEvent(data);
  return `disk ${diskGuid}: ${partitions.map(({ type, name }) => name || type).join(', ') || 'no partitions'}`;
}

/** PFP, section 3.3.2.2. */
function describeSeparator(data: Uint8Array): string | undefined {
  const value = toHex(data.subarray(0, 5));
  if (value === '00000000' || value === 'ffffffff') return 'end of firmware';
  return value === '01000000' ? 'firmware reports an error' : undefined;
}

/** A GUID or a text in UTF-16 (PFP, section 10.4.1). */
function describeVersion(data: Uint8Array): string | undefined {
  return textOf(data) ?? (data.length === GUID_BYTES ? nameOfGuid(data) : undefined);
}

const TAG_HEADER_BYTES = 8;

/** TCG_PCClientTaggedEvent (PFP, section 10.4.2.1). */
function describeTagged(data: Uint8Array): string | undefined {
  if (data.length < TAG_HEADER_BYTES) return undefined;
  const tag = new DataView(data.buffer, data.byteOffset).getUint32(0, true).toString(16);
  const content = data.subarray(TAG_HEADER_BYTES);
  return `tag 0x${tag}: ${describeBytes(content)}`;
}

const SIGNATURE_BYTES = 16;
const LOCALITY_SIGNATURE = 'StartupLocality';

/** By the signature that its data begins with (PFP, section 10.4.5). */
function describeNoAction(data: Uint8Array): string | undefined {
  const signature = Buffer.from(data.subarray(0, SIGNATURE_BYTES)).toString('latin1').replace(/\0+$/, '');
  if (signature === LOCALITY_SIGNATURE) return `StartupLocality ${data[SIGNATURE_BYTES] ?? 'missing'}`;
  return /^[\x20-\x7e]{4,}$/.test(signature) ? `"${signature}", ${data.length} bytes` : undefined;
}

function describeBlob({ description, base, length }: ReturnType<typeof parseFirmwareBlob2>): string {
  return `${description ? `"${description}", ` : ''}${length} bytes at 0x${base.toString(16)}`;
}

/** Text as firmware and loaders write it, ASCII or UTF-16; undefined when the bytes are no text. */
function textOf(data: Uint8Array): string | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, MAX_TEXT_BYTES));
  const cut = data.length > MAX_TEXT_BYTES ? '...' : '';
  for (const encoding of ['latin1', 'utf16le'] as const) {
    const text = bytes.toString(encoding).replace(/[\0\n]+$/, '');
    if (/^[\x20-\x7e\n\t]+$/.test(text)) return `"${text}"${cut}`;
  }
  return undefined;
}

function listOf(names: readonly string[]): string {
  return names.join(', ') || 'no tables';
}

function describeBytes(data: Uint8Array): string {
  return textOf(data) ?? BYTE_COUNTS[data.length] ?? `${data.length} bytes`;
}
