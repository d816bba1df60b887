import { StructureReader } from './reader.ts';

interface UefiVariableData {
  name: string;
  content: Uint8Array;
}

const GUID_BYTES = 16;
const MAX_NAME_CHARACTERS = 1024;

/** The VariableData of a UEFI_VARIABLE_DATA; undefined when the bytes are not one. */
export function uefiVariableContent(data: Uint8Array): Uint8Array | undefined {
  return parse(data)?.content;
}

/** Its UnicodeName. */
export function uefiVariableName(data: Uint8Array): string | undefined {
  return parse(data)?.name;
}

/** PFP, section 10.2.6. */
function parse(data: Uint8Array): UefiVariableData | undefined {
  const reader = new StructureReader(data, 'UEFI_VARIABLE_DATA', 'little');
  if (data.length < GUID_BYTES + 16) return undefined;
  reader.fixed(GUID_BYTES);
  const nameCharacters = reader.u64();
  const contentLength = reader.u64();
  if (nameCharacters > MAX_NAME_CHARACTERS) return undefined;
  const nameBytes = 2 * Number(nameCharacters);
  if (BigInt(reader.remaining) !== BigInt(nameBytes) + contentLength) return undefined;
  const name = Buffer.from(reader.fixed(nameBytes)).toString('utf16le');
  return { name, content: reader.fixed(reader.remaining) };
}
