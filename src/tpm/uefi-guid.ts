import { toHex } from '../core/bytes.ts';

export const GUID_BYTES = 16;

/** The ones that event logs name, by what people call them. */
const NAMES: Readonly<Record<string, string>> = {
  '8be4df61-93ca-11d2-aa0d-00e098032b8c': 'EFI_GLOBAL_VARIABLE',
  'd719b2cb-3d3a-4596-a3bc-dad00e67656f': 'EFI_IMAGE_SECURITY_DATABASE',
  '605dab50-e046-4300-abb6-3dd810dd8b23': 'SHIM_LOCK',
  '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f': 'SYSTEMD_LOADER',
  '77fa9abd-0359-4d32-bd60-28f4e78f784b': 'Microsoft',
  'eb9d2d30-2d88-11d3-9a16-0090273fc14d': 'ACPI 1.0',
  '8868e871-e4f1-11d3-bc22-0080c73c8881': 'ACPI 2.0',
  'eb9d2d31-2d88-11d3-9a16-0090273fc14d': 'SMBIOS',
  'f2fd1544-9794-4a2c-992e-e5bbcf20e394': 'SMBIOS 3',
  'eb9d2d2f-2d88-11d3-9a16-0090273fc14d': 'MPS',
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 'EFI system partition',
};

/** EFI_GUID (UEFI 2.10, appendix A): the first three fields are little-endian. */
export function formatGuid(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, GUID_BYTES);
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  const head = [
    hex(view.getUint32(0, true), 8),
    hex(view.getUint16(4, true), 4),
    hex(view.getUint16(6, true), 4),
  ];
  return [...head, toHex(bytes.subarray(8, 10)), toHex(bytes.subarray(10, GUID_BYTES))].join('-');
}

/** Its name where it has one, else its digits. */
export function nameOfGuid(bytes: Uint8Array): string {
  const text = formatGuid(bytes);
  return NAMES[text] ?? text;
}
