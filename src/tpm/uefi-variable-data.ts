import { StructureReader } from './reader.ts';
import { GUID_BYTES } from './uefi-guid.ts';

/** UEFI_VARIABLE_DATA (PFP, section 10.2.6). */
export interface UefiVariableData {
  vendorGuid: Uint8Array;
  name: string;
  content: Uint8Array;
}

const MAX_NAME_CHARACTERS = 1024;

/** The VariableData of a UEFI_VARIABLE_DATA; undefined when the bytes are not one. */
export function uefiVariableContent(data: Uint8Array): Uint8Array | undefined {
  return readUefiVariable(data)?.content;
}

/** Its UnicodeName. */
export function uefiVariableName(data: Uint8Array): string | undefined {
  return readUefiVariable(data)?.name;
}

/** The whole of it; undefined when the bytes are not one. */
export function readUefiVariable(data: Uint8Array): UefiVariableData | undefined {
  const reader = new StructureReader(data, 'UEFI_VARIABLE_DATA', 'little');
  if (data.length < GUID_BYTES + 16) return undefined;
  const vendorGuid = reader.fixed(GUID_BYTES);
  const nameCharacters = reader.u64();
  const contentLength = reader.u64();
  if (nameCharacters > MAX_NAME_CHARACTERS) return undefined;
  const nameBytes = 2 * Number(nameCharacters);
  if (BigInt(reader.remaining) !== BigInt(nameBytes) + contentLength) return undefined;
  const name = Buffer.from(reader.fixed(nameBytes)).toString('utf16le');
  return { vendorGuid, name, content: reader.fixed(reader.remaining) };
}
