import { parseLoadOption } from '../../tpm/event-structures.ts';
import type { UefiVariableData } from '../../tpm/uefi-variable-data.ts';

const SWITCHES: readonly string[] = ['SecureBoot', 'SetupMode', 'AuditMode', 'DeployedMode'];
const BOOT_ENTRY = /^Boot[0-9A-F]{4}$/;
const MAX_BOOT_ENTRIES = 32;

/** What a UEFI variable holds, where that can be said in a line. @throws {TpmFormatError} */
export function describeVariable({ name, content }: UefiVariableData): string | undefined {
  if (SWITCHES.includes(name) && content.length === 1) return content[0] === 0 ? 'off' : 'on';
  if (name === 'BootOrder') return describeBootOrder(content);
  if (BOOT_ENTRY.test(name)) {
    const { description, devicePath } = parseLoadOption(content);
    return `"${description}", ${devicePath}`;
  }
  return undefined;
}

function describeBootOrder(content: Uint8Array): string | undefined {
  if (content.length % 2 !== 0 || content.length > 2 * MAX_BOOT_ENTRIES) return undefined;
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const entries = Array.from({ length: content.length / 2 }, (_, index) => view.getUint16(2 * index, true));
  return entries.map((entry) => entry.toString(16).toUpperCase().padStart(4, '0')).join(', ') || 'empty';
}
