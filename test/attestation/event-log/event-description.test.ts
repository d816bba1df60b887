import { describe, expect, it } from 'vitest';
import { describeEvent } from '../../../src/attestation/event-log/event-description.ts';
import { asciiBytes, concatBytes, EMPTY, fromHex, sha256, toHex } from '../../../src/core/bytes.ts';
import { createAuthority, issueEk } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { le16, le32, variableData } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { createEk } from '../endorsement/certificate-maker.ts';

const le64 = (value: number) => concatBytes(le32(value), le32(0));
const utf16 = (text: string) => Buffer.from(text, 'utf16le');
const guid = (text: string) => {
  const [a = '', b = '', c = '', ...rest] = text.split('-');
  const reversed = (digits: string) => Buffer.from(fromHex(digits)).reverse();
  return concatBytes(reversed(a), reversed(b), reversed(c), fromHex(rest.join('')));
};
const node = (type: number, subType: number, ...body: Uint8Array[]) => {
  const content = concatBytes(...body);
  return concatBytes(Uint8Array.of(type, subType), le16(content.length + 4), content);
};
const END = node(0x7f, 0xff);
const PATH = concatBytes(
  node(1, 1, Uint8Array.of(0, 4)),
  node(4, 4, utf16('\\EFI\\BOOT\\BOOTX64.EFI\0')),
  END,
);
const image = (path: Uint8Array, length = path.length) =>
  concatBytes(le64(0), le64(4096), le64(0), le64(length), path);
const content = (type: number, data: Uint8Array) =>
  describeEvent({ pcr: 0, type, digests: [], data }).content;
const subject = (type: number, data: Uint8Array) =>
  describeEvent({ pcr: 0, type, digests: [], data }).subject;
const variable = (vendor: string, name: string, bytes: Uint8Array) =>
  concatBytes(guid(vendor), variableData(name, bytes).subarray(16));
const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const IMAGE_SECURITY = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const CONFIG = EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG;

const EFI_CERT_X509 = guid('a5c059a1-94e4-4aa7-87b5-ab155c2bf072');
const EFI_CERT_SHA256 = guid('c1c41626-504c-4092-aca9-41f936934328');
const OWNER = new Uint8Array(16).fill(0x77);
const signatureList = (kind: Uint8Array, ...entries: Uint8Array[]) => {
  const size = 16 + (entries[0]?.length ?? 32);
  const body = entries.flatMap((entry) => [OWNER, entry]);
  return concatBytes(kind, le32(28 + size * entries.length), le32(0), le32(size), ...body);
};

describe('what a signature database says', () => {
  const database = (name: string, bytes: Uint8Array) =>
    content(CONFIG, variable(IMAGE_SECURITY, name, bytes));

  it('is how many entries of which kind, and whose certificates', async () => {
    const { certificate } = await createAuthority('our db key');
    const one = signatureList(EFI_CERT_X509, certificate);
    const hashes = signatureList(EFI_CERT_SHA256, new Uint8Array(32), new Uint8Array(32).fill(1));
    expect(database('db', one)).toBe('1 certificate (our db key)');
    expect(database('dbx', concatBytes(one, hashes))).toBe('1 certificate, 2 image hashes (our db key)');
    expect(database('db', concatBytes(one, one, one, one, one))).toMatch(
      /^5 certificates \((?:our db key; ){4}\.{3}\)$/,
    );
    expect(database('KEK', signatureList(OWNER, new Uint8Array(32)))).toBe('1 other');
    expect(database('db', signatureList(EFI_CERT_SHA256))).toBe('no entries');
  });

  it('is a digest where a certificate cannot be read, and a size where the lists cannot', () => {
    const broken = signatureList(EFI_CERT_X509, new Uint8Array(40));
    expect(database('db', broken)).toBe(
      `1 certificate (${toHex(sha256(new Uint8Array(40))).slice(0, 12)}...)`,
    );
    expect(database('db', broken.subarray(1))).toBe('83 bytes');
    expect(database('db', signatureList(EFI_CERT_SHA256, new Uint8Array(20)))).toBe('64 bytes');
    const many = (count: number) =>
      signatureList(OWNER, ...Array.from({ length: count }, () => new Uint8Array(1)));
    expect(database('db', many(4096))).toBe('4096 others');
    expect(database('db', many(4097))).toMatch(/^\d+ bytes$/);
    expect(database('db', concatBytes(many(4096), many(1)))).toMatch(/^\d+ bytes$/);
  });

  it('names the certificate that verified an image, with its owner before it or without', async () => {
    const { certificate } = await createAuthority('our db key');
    const authority = (bytes: Uint8Array) =>
      content(EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, variable(IMAGE_SECURITY, 'db', bytes));
    expect(authority(concatBytes(OWNER, certificate))).toBe('certificate our db key');
    expect(authority(certificate)).toBe('certificate our db key');
    expect(authority(new Uint8Array(40))).toBe('40 bytes');
    const nameless = await issueEk((await createEk()).publicKey, await createAuthority('our db key'));
    expect(authority(nameless)).toBe(`certificate ${toHex(sha256(nameless)).slice(0, 12)}...`);
  });
});

describe('what an event says', () => {
  it.each<[string, number, Uint8Array, string]>([
    [
      'an application',
      EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
      image(PATH),
      'Pci(0x4,0x0)/\\EFI\\BOOT\\BOOTX64.EFI, 4096 bytes',
    ],
    [
      'one with padding',
      EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER,
      concatBytes(image(PATH), EMPTY, new Uint8Array(8)),
      'Pci(0x4,0x0)/\\EFI\\BOOT\\BOOTX64.EFI, 4096 bytes',
    ],
    [
      'one without path',
      EVENT_TYPE.EV_EFI_RUNTIME_SERVICES_DRIVER,
      image(EMPTY),
      'an image without device path, 4096 bytes',
    ],
    ['one with a path longer than it', EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER, image(PATH, 500), '90 bytes'],
    ['a separator', EVENT_TYPE.EV_SEPARATOR, new Uint8Array(4), 'end of firmware'],
    ['the other separator', EVENT_TYPE.EV_SEPARATOR, new Uint8Array(4).fill(255), 'end of firmware'],
    ['an error', EVENT_TYPE.EV_SEPARATOR, le32(1), 'firmware reports an error'],
    ['no separator', EVENT_TYPE.EV_SEPARATOR, le32(2), '4 bytes'],
    ['a version in UTF-16 of 16 bytes', EVENT_TYPE.EV_S_CRTM_VERSION, utf16('1.14.2\0\0'), '"1.14.2"'],
    [
      'a version that is a GUID',
      EVENT_TYPE.EV_S_CRTM_VERSION,
      guid('546bfb1e-1d0c-4055-a4ad-4ef4bf17b83a'),
      '546bfb1e-1d0c-4055-a4ad-4ef4bf17b83a',
    ],
    ['no version', EVENT_TYPE.EV_S_CRTM_VERSION, Uint8Array.of(0, 0), '2 bytes'],
    [
      'an action',
      EVENT_TYPE.EV_EFI_ACTION,
      asciiBytes('Exit Boot Services Invocation'),
      '"Exit Boot Services Invocation"',
    ],
    [
      'a tagged event',
      EVENT_TYPE.EV_EVENT_TAG,
      concatBytes(le32(0x8f3b22ed), le32(2), utf16('x')),
      'tag 0x8f3b22ed: "x"',
    ],
    ['too short for a tag', EVENT_TYPE.EV_EVENT_TAG, Uint8Array.of(1), '1 byte'],
    [
      'a firmware volume',
      EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB,
      concatBytes(le64(0x820000), le64(917504)),
      '917504 bytes at 0x820000',
    ],
    [
      'a named firmware volume',
      EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB2,
      concatBytes(Uint8Array.of(3), asciiBytes('DXE'), le64(1), le64(2)),
      '"DXE", 2 bytes at 0x1',
    ],
    ['POST code', EVENT_TYPE.EV_POST_CODE, asciiBytes('ACPI DATA'), '"ACPI DATA"'],
    ['POST code in memory', EVENT_TYPE.EV_POST_CODE, concatBytes(le64(16), le64(32)), '32 bytes at 0x10'],
    [
      'tables',
      EVENT_TYPE.EV_EFI_HANDOFF_TABLES,
      concatBytes(le64(1), guid('eb9d2d31-2d88-11d3-9a16-0090273fc14d'), le64(9)),
      'SMBIOS',
    ],
    ['no tables', EVENT_TYPE.EV_EFI_HANDOFF_TABLES, le64(0), 'no tables'],
    ['more tables than there are', EVENT_TYPE.EV_EFI_HANDOFF_TABLES, le64(0xffff_ffff), '8 bytes'],
    [
      'described tables',
      EVENT_TYPE.EV_EFI_HANDOFF_TABLES2,
      concatBytes(
        Uint8Array.of(1),
        asciiBytes('x'),
        le64(1),
        guid('8868e871-e4f1-11d3-bc22-0080c73c8881'),
        le64(9),
      ),
      'ACPI 2.0',
    ],
    [
      'a locality',
      EVENT_TYPE.EV_NO_ACTION,
      concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(3)),
      'StartupLocality 3',
    ],
    [
      'a locality without its number',
      EVENT_TYPE.EV_NO_ACTION,
      asciiBytes('StartupLocality\0'),
      'StartupLocality missing',
    ],
    [
      'another note of firmware',
      EVENT_TYPE.EV_NO_ACTION,
      asciiBytes('SP800-155 Event\0....'),
      '"SP800-155 Event", 20 bytes',
    ],
    ['an unknown note', EVENT_TYPE.EV_NO_ACTION, Uint8Array.of(1, 2, 3), '3 bytes'],
    ['a loader', 0x0d, asciiBytes('grub_cmd: linux /vmlinuz\0'), '"grub_cmd: linux /vmlinuz"'],
    ['nothing', 0x0d, EMPTY, 'empty'],
    ['a very long line', 0x0d, asciiBytes('x'.repeat(500)), `"${'x'.repeat(199)}...`],
  ])('%s', (_name, type, data, expected) => {
    expect(content(type, data)).toBe(expected);
  });

  it('Q55 hides no fault of our own', () => {
    expect(() => content(EVENT_TYPE.EV_EFI_GPT_EVENT, null as never)).toThrow(TypeError);
  });

  it('names a disk and its partitions', () => {
    const header = concatBytes(
      new Uint8Array(56),
      guid('f9f4bb69-5418-46bb-9501-2d615a3edc79'),
      new Uint8Array(20),
    );
    const named = (type: string, name: string) =>
      concatBytes(guid(type), new Uint8Array(40), utf16(name.padEnd(36, '\0')));
    const esp = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
    const data = concatBytes(header, le64(2), named(esp, 'boot'), named(esp, ''));
    const disk = 'disk f9f4bb69-5418-46bb-9501-2d615a3edc79';
    expect(content(EVENT_TYPE.EV_EFI_GPT_EVENT, data)).toBe(`${disk}: boot, EFI system partition`);
    expect(content(EVENT_TYPE.EV_EFI_GPT_EVENT, concatBytes(header, le64(0)))).toBe(`${disk}: no partitions`);
    expect(content(EVENT_TYPE.EV_EFI_GPT_EVENT, concatBytes(header, le64(129)))).toBe('100 bytes');
  });

  it.each<[string, Uint8Array, string]>([
    ['SecureBoot', Uint8Array.of(1), 'on'],
    ['SecureBoot', Uint8Array.of(0), 'off'],
    ['SecureBoot', EMPTY, 'empty'],
    ['BootOrder', concatBytes(le16(3), le16(0x1a)), '0003, 001A'],
    ['BootOrder', EMPTY, 'empty'],
    ['BootOrder', Uint8Array.of(1, 2, 3), '3 bytes'],
    [
      'Boot0001',
      concatBytes(le32(1), le16(PATH.length), utf16('net\0'), PATH),
      '"net", Pci(0x4,0x0)/\\EFI\\BOOT\\BOOTX64.EFI',
    ],
    ['Boot0001', concatBytes(le32(1), le16(4), utf16('net')), '12 bytes'],
    ['Other', Uint8Array.of(7), '1 byte'],
  ])('variable %s (%#)', (name, bytes, expected) => {
    expect(content(CONFIG, variable(GLOBAL, name, bytes))).toBe(expected);
    expect(subject(CONFIG, variable(GLOBAL, name, bytes))).toBe(name);
  });

  it('names the vendor of a variable that is not UEFI’s own, and what verified an image', () => {
    const vendor = '12345678-0000-0000-0000-000000000000';
    expect(subject(CONFIG, variable(vendor, 'db', EMPTY))).toBe(`db of ${vendor}`);
    const authority = variable('d719b2cb-3d3a-4596-a3bc-dad00e67656f', 'db', new Uint8Array(40));
    expect(subject(EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, authority)).toBe('authority from db');
    const oneTooMany = concatBytes(authority, Uint8Array.of(0));
    expect(subject(EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, oneTooMany)).toBe('authority from db');
    expect(subject(CONFIG, Uint8Array.of(1))).toBe('EV_EFI_VARIABLE_DRIVER_CONFIG');
    expect(subject(0x12345, EMPTY)).toBe('event type 0x00012345');
  });
});
