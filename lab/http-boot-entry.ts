import { asciiBytes, concatBytes } from '../src/core/bytes.ts';
import { LabError } from './lab-error.ts';

/** Where QEMU's q35 puts the first network card of `machine.ts`. */
export const NETWORK_CARD_SLOT = 2;

const URL = /^https:\/\/[!-~]{1,119}$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
const LOAD_OPTION_ACTIVE = 1;

/**
 * An EFI_LOAD_OPTION (UEFI 2.10, section 3.1.3) that makes firmware fetch `url` through the card with that
 * MAC: PciRoot(0)/Pci(2,0)/MAC/IPv4(DHCP)/Uri. With it, no DHCP server has to know about the boot.
 */
export function createHttpBootEntry({
  mac,
  url,
  title,
}: {
  mac: string;
  url: string;
  title: string;
}): Uint8Array {
  if (!MAC.test(mac)) throw new LabError('boot-entry-invalid', `${mac} is no MAC address`);
  if (!URL.test(url))
    throw new LabError('boot-entry-invalid', `${url} is no https URL of at most 127 characters`);
  const path = concatBytes(
    deviceNode(2, 1, concatBytes(uint32(0x0a03_41d0), uint32(0))), // ACPI: PNP0A03, UID 0
    deviceNode(1, 1, Uint8Array.of(0, NETWORK_CARD_SLOT)), // Pci(function, device)
    deviceNode(
      3,
      11,
      concatBytes(Buffer.from(mac.replaceAll(':', ''), 'hex'), new Uint8Array(26), Uint8Array.of(1)),
    ),
    deviceNode(3, 12, new Uint8Array(23)), // IPv4, addresses by DHCP
    deviceNode(3, 24, asciiBytes(url)),
    deviceNode(0x7f, 0xff, new Uint8Array(0)),
  );
  const length = new Uint8Array(2);
  new DataView(length.buffer).setUint16(0, path.length, true);
  return concatBytes(uint32(LOAD_OPTION_ACTIVE), length, Buffer.from(`${title}\0`, 'utf16le'), path);
}

/** Section 10.3.1: type, sub-type, length with these four bytes. */
function deviceNode(type: number, subType: number, data: Uint8Array): Uint8Array {
  const length = data.length + 4;
  return concatBytes(Uint8Array.of(type, subType, length & 0xff, length >> 8), data);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
