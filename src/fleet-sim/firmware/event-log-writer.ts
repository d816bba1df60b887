import { createHash } from 'node:crypto';
import { asciiBytes, concatBytes } from '../../core/bytes.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { EVENT_TYPE } from '../../tpm/event-types.ts';
import { SHA256 } from '../chip/software-ak.ts';

/** Writes event logs the way firmware does, and the way it never would. Little-endian throughout. */
export interface WrittenEvent {
  pcr: number;
  type: number;
  data: Uint8Array;
  /** What was hashed, when it is not the data. */
  hashed?: Uint8Array;
  /** Digests as they shall stand there, whatever the data. */
  digests?: readonly { id: number; bytes: Uint8Array }[];
}

export const SEPARATOR_DATA = new Uint8Array(4);
export const ACTION_DATA = asciiBytes('Calling EFI Application from Boot Option');

export function le32(value: number): Uint8Array {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}

export function le16(value: number): Uint8Array {
  const out = Buffer.alloc(2);
  out.writeUInt16LE(value);
  return out;
}

export function writeHeader(
  options: {
    banks?: readonly { id: number; size: number }[];
    signature?: string;
    minor?: number;
    major?: number;
    uintnSize?: number;
    count?: number;
    vendorInfo?: Uint8Array;
    vendorLength?: number;
    pcr?: number;
    digest?: Uint8Array;
  } = {},
): Uint8Array {
  const banks = options.banks ?? [SHA256];
  const vendorInfo = options.vendorInfo ?? new Uint8Array(0);
  const data = concatBytes(
    asciiBytes(options.signature ?? 'Spec ID Event03\0'),
    le32(0),
    Uint8Array.of(options.minor ?? 0, options.major ?? 2, 0, options.uintnSize ?? 2),
    le32(options.count ?? banks.length),
    ...banks.flatMap(({ id, size }) => [le16(id), le16(size)]),
    Uint8Array.of(options.vendorLength ?? vendorInfo.length),
    vendorInfo,
  );
  return concatBytes(
    le32(options.pcr ?? 0),
    le32(EVENT_TYPE.EV_NO_ACTION),
    options.digest ?? new Uint8Array(20),
    le32(data.length),
    data,
  );
}

export function writeEvent(event: WrittenEvent, banks: readonly HashAlgorithm[] = [SHA256]): Uint8Array {
  const isNoAction = event.type === EVENT_TYPE.EV_NO_ACTION;
  const digests =
    event.digests ??
    banks.map(({ id, name, size }) => ({
      id,
      bytes: isNoAction
        ? new Uint8Array(size)
        : createHash(name)
            .update(event.hashed ?? event.data)
            .digest(),
    }));
  return concatBytes(
    le32(event.pcr),
    le32(event.type),
    le32(digests.length),
    ...digests.flatMap(({ id, bytes }) => [le16(id), bytes]),
    le32(event.data.length),
    event.data,
  );
}

export function writeLog(
  events: readonly WrittenEvent[],
  banks: readonly HashAlgorithm[] = [SHA256],
): Uint8Array {
  return concatBytes(writeHeader({ banks }), ...events.map((event) => writeEvent(event, banks)));
}

export function variableData(name: string, content: Uint8Array): Uint8Array {
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(name.length), 0);
  lengths.writeBigUInt64LE(BigInt(content.length), 8);
  return concatBytes(new Uint8Array(16).fill(0x61), lengths, Buffer.from(name, 'utf16le'), content);
}

/** A small but complete boot: version, variables, separators, one application, stub and kernel events. */
export function bootEvents(): WrittenEvent[] {
  const separators = [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => ({
    pcr,
    type: EVENT_TYPE.EV_SEPARATOR,
    data: SEPARATOR_DATA,
  }));
  return [
    { pcr: 0, type: EVENT_TYPE.EV_S_CRTM_VERSION, data: Buffer.from('1.0\0', 'utf16le') },
    {
      pcr: 7,
      type: EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
      data: variableData('SecureBoot', Uint8Array.of(1)),
    },
    { pcr: 1, type: EVENT_TYPE.EV_EFI_VARIABLE_BOOT, data: variableData('BootOrder', Uint8Array.of(0, 0)) },
    { pcr: 4, type: EVENT_TYPE.EV_EFI_ACTION, data: ACTION_DATA },
    ...separators,
    {
      pcr: 7,
      type: EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
      data: variableData('db', new Uint8Array(40).fill(0xdb)),
    },
    {
      pcr: 4,
      type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
      data: asciiBytes('https://boot.example/stage0.efi'),
      hashed: asciiBytes('the Authenticode digest of stage-0'),
    },
    { pcr: 11, type: 0x0d, data: asciiBytes('.linux'), hashed: asciiBytes('.linux\0') },
    { pcr: 9, type: 0x06, data: asciiBytes('LOAD_OPTIONS') },
  ];
}
