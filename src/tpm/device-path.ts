import { toHex } from '../core/bytes.ts';
import { StructureReader } from './reader.ts';
import { formatGuid, GUID_BYTES } from './uefi-guid.ts';

/** What was written by firmware is a dozen nodes long. */
const MAX_NODES = 32;
const HEADER_BYTES = 4;
const END_TYPE = 0x7f;
const END_INSTANCE = 0x01;
/** EISA ids of PCI and PCI Express host bridges. */
const PNP0A03 = 0x0a03_41d0;
const PNP0A08 = 0x0a08_41d0;
const GPT_SIGNATURE = 2;

type NodeReader = (body: StructureReader) => string;

/** By type and sub-type (UEFI 2.10, section 10.3), worded as in section 10.6.1. */
const NODES: Readonly<Record<string, NodeReader>> = {
  '1/1': (body) => {
    const pciFunction = body.u8();
    return `Pci(${hex(body.u8())},${hex(pciFunction)})`;
  },
  '1/4': (body) => `VenHw(${formatGuid(body.fixed(GUID_BYTES))}${rest(body)})`,
  '2/1': (body) => {
    const hid = body.u32();
    const uid = hex(body.u32());
    if (hid === PNP0A03) return `PciRoot(${uid})`;
    return hid === PNP0A08 ? `PcieRoot(${uid})` : `Acpi(${hex(hid)},${uid})`;
  },
  '3/2': (body) => `Scsi(${hex(body.u16())},${hex(body.u16())})`,
  '3/5': (body) => `USB(${hex(body.u8())},${hex(body.u8())})`,
  '3/11': readMac,
  '3/12': readIpv4,
  '3/13': readIpv6,
  '3/18': (body) => `Sata(${hex(body.u16())},${hex(body.u16())},${hex(body.u16())})`,
  '3/23': (body) => `NVMe(${hex(body.u32())},${toHex(body.fixed(8))})`,
  '3/24': (body) => `Uri(${latin1(body)})`,
  '4/1': readHardDrive,
  '4/3': (body) => `VenMedia(${formatGuid(body.fixed(GUID_BYTES))}${rest(body)})`,
  '4/4': (body) => utf16(body),
  '4/6': (body) => `FvFile(${formatGuid(body.fixed(GUID_BYTES))})`,
  '4/7': (body) => `Fv(${formatGuid(body.fixed(GUID_BYTES))})`,
  '4/8': (body) => {
    body.u32(); // reserved
    return `Offset(${hex(body.u64())},${hex(body.u64())})`;
  },
  '5/1': (body) => {
    const deviceType = hex(body.u16());
    body.u16(); // status
    return `BBS(${deviceType},${latin1(body)})`;
  },
};

/**
 * An EFI_DEVICE_PATH_PROTOCOL as text; nodes of other kinds are three dots. What firmware wrote into it is
 * still text from outside: escape it before it is shown.
 *
 * @throws {TpmFormatError} when the bytes are not nodes up to an end node
 */
export function formatDevicePath(reader: StructureReader): string {
  const instances: string[][] = [[]];
  for (let nodes = 0; nodes < MAX_NODES; nodes += 1) {
    const type = reader.u8();
    const subType = reader.u8();
    const length = reader.u16();
    if (length < HEADER_BYTES) reader.invalid(`a node of ${length} bytes`);
    const body = reader.fixed(length - HEADER_BYTES);
    if (type !== END_TYPE) instances.at(-1)?.push(formatNode(`${type}/${subType}`, body));
    else if (subType === END_INSTANCE) instances.push([]);
    else return instances.map((parts) => parts.join('/')).join(',');
  }
  return reader.invalid(`more than ${MAX_NODES} nodes`);
}

function formatNode(kind: string, bytes: Uint8Array): string {
  const read = NODES[kind];
  if (read === undefined) return '...';
  const body = new StructureReader(bytes, `device path node ${kind}`, 'little');
  const text = read(body);
  body.end();
  return text;
}

/** Section 10.3.4.11: 32 bytes hold the address, six of them for Ethernet. */
function readMac(body: StructureReader): string {
  const address = body.fixed(32);
  const interfaceType = body.u8();
  return `MAC(${toHex(interfaceType <= 1 ? address.subarray(0, 6) : address)},${hex(interfaceType)})`;
}

/** Section 10.3.4.12. Firmware for UEFI 2.0 wrote no gateway and mask. */
function readIpv4(body: StructureReader): string {
  const local = body.fixed(4).join('.');
  const remote = body.fixed(4).join('.');
  body.fixed(4); // ports
  const protocol = body.u16();
  const isStatic = body.u8() !== 0;
  const route = body.remaining === 0 ? [] : [body.fixed(4).join('.'), body.fixed(4).join('.')];
  return `IPv4(${[remote, hex(protocol), isStatic ? 'Static' : 'DHCP', local, ...route].join(',')})`;
}

/** Section 10.3.4.13. */
function readIpv6(body: StructureReader): string {
  const local = ipv6Address(body);
  const remote = ipv6Address(body);
  body.fixed(body.remaining); // ports, protocol and where the address comes from
  return `IPv6(${remote},${local})`;
}

function ipv6Address(body: StructureReader): string {
  return Array.from({ length: 8 }, () => toHex(body.fixed(2))).join(':');
}

/** Section 10.3.5.1. */
function readHardDrive(body: StructureReader): string {
  const partition = body.u32();
  const start = body.u64();
  const size = body.u64();
  const signature = body.fixed(GUID_BYTES);
  body.u8(); // format: MBR or GPT, as the signature's type says too
  const isGpt = body.u8() === GPT_SIGNATURE;
  const disk = isGpt ? `GPT,${formatGuid(signature)}` : `MBR,${toHex(signature.subarray(0, 4))}`;
  return `HD(${partition},${disk},${hex(start)},${hex(size)})`;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function rest(body: StructureReader): string {
  return body.remaining === 0 ? '' : `,${toHex(body.fixed(body.remaining))}`;
}

function latin1(body: StructureReader): string {
  return Buffer.from(body.fixed(body.remaining)).toString('latin1').replace(/\0+$/, '');
}

function utf16(body: StructureReader): string {
  return Buffer.from(body.fixed(body.remaining)).toString('utf16le').replace(/\0+$/, '');
}
