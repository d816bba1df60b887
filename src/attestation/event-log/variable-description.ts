import { X509Certificate } from 'node:crypto';
import { sha256 } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import { type EfiSignature, parseSignatureLists } from '../../tpm/efi-signature-list.ts';
import { parseLoadOption } from '../../tpm/event-structures.ts';
import { GUID_BYTES } from '../../tpm/uefi-guid.ts';
import type { UefiVariableData } from '../../tpm/uefi-variable-data.ts';

const SWITCHES: readonly string[] = ['SecureBoot', 'SetupMode', 'AuditMode', 'DeployedMode'];
const SIGNATURE_DATABASES: readonly string[] = ['PK', 'KEK', 'db', 'dbx', 'dbt', 'dbr'];
const BOOT_ENTRY = /^Boot[0-9A-F]{4}$/;
const MAX_BOOT_ENTRIES = 32;
const MAX_NAMED = 4;
const COMMON_NAME = /^CN=(.*)$/m;

/** What a UEFI variable holds, where that can be said in a line. @throws {TpmFormatError} */
export function describeVariable({ name, content }: UefiVariableData): string | undefined {
  if (SWITCHES.includes(name) && content.length === 1) return content[0] === 0 ? 'off' : 'on';
  if (SIGNATURE_DATABASES.includes(name) && content.length > 0)
    return describeSignatures(parseSignatureLists(content));
  if (name === 'BootOrder') return describeBootOrder(content);
  if (BOOT_ENTRY.test(name)) {
    const { description, devicePath } = parseLoadOption(content);
    return `"${description}", ${devicePath}`;
  }
  return undefined;
}

/** The entry of a database that verified an image: EFI_SIGNATURE_DATA; shim leaves out the owner before it. */
export function describeAuthority({ content }: UefiVariableData): string | undefined {
  const name = nameOfCertificate(content.subarray(GUID_BYTES)) ?? nameOfCertificate(content);
  return name && `certificate ${name}`;
}

function describeSignatures(signatures: readonly EfiSignature[]): string {
  const certificates = signatures.filter(({ kind }) => kind === 'x509');
  const names = certificates
    .slice(0, MAX_NAMED)
    .map(({ data }) => nameOfCertificate(data) ?? shortHex(sha256(data)));
  if (certificates.length > MAX_NAMED) names.push('...');
  const counts = [
    countOf(certificates.length, 'certificate'),
    countOf(signatures.filter(({ kind }) => kind === 'sha256').length, 'image hash', 'es'),
    countOf(signatures.filter(({ kind }) => kind === 'other').length, 'other'),
  ].filter((count) => count !== undefined);
  return `${counts.join(', ') || 'no entries'}${names.length > 0 ? ` (${names.join('; ')})` : ''}`;
}

function countOf(count: number, noun: string, plural = 's'): string | undefined {
  return count === 0 ? undefined : `${count} ${noun}${count === 1 ? '' : plural}`;
}

/** Its common name, or its digest where it has none; undefined when the bytes are no certificate. */
export function nameOfCertificate(der: Uint8Array): string | undefined {
  try {
    const { subject } = new X509Certificate(der);
    return COMMON_NAME.exec(String(subject))?.[1] ?? shortHex(sha256(der));
  } catch {
    return undefined;
  }
}

function describeBootOrder(content: Uint8Array): string | undefined {
  if (content.length % 2 !== 0 || content.length > 2 * MAX_BOOT_ENTRIES) return undefined;
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const entries = Array.from({ length: content.length / 2 }, (_, index) => view.getUint16(2 * index, true));
  return entries.map((entry) => entry.toString(16).toUpperCase().padStart(4, '0')).join(', ') || 'empty';
}
