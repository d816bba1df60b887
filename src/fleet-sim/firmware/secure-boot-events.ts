import { concatBytes } from '../../core/bytes.ts';
import { EVENT_TYPE } from '../../tpm/event-types.ts';
import { le32, SEPARATOR_DATA, type WrittenEvent } from './event-log-writer.ts';

const GLOBAL_VARIABLE = Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex');
const SECURITY_DATABASE = Buffer.from('cbb219d73a3d9645a3bcdad00e67656f', 'hex');
const X509_LIST = Buffer.from('a159c0a5e494a74a87b5ab155c2bf072', 'hex');
const SHA256_LIST = Buffer.from('2616c4c14c509240aca941f936934328', 'hex');
const OWNER = Buffer.alloc(16, 0x0f);

export const GUIDS = { GLOBAL_VARIABLE, SECURITY_DATABASE, X509_LIST, SHA256_LIST };

/** UEFI_VARIABLE_DATA with its real GUID. */
export function measuredVariable(guid: Uint8Array, name: string, content: Uint8Array): Uint8Array {
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(name.length), 0);
  lengths.writeBigUInt64LE(BigInt(content.length), 8);
  return concatBytes(guid, lengths, Buffer.from(name, 'utf16le'), content);
}

/** One EFI_SIGNATURE_LIST with one signature. */
export function signatureList(type: Uint8Array, data: Uint8Array): Uint8Array {
  const size = OWNER.length + data.length;
  return concatBytes(type, le32(28 + size), le32(0), le32(size), OWNER, data);
}

export const OUR_CERTIFICATE = Buffer.from('what stands for the certificate in db');

/** PCR 7 as firmware measures it: what it is configured with, the separator, and by what it verified stage-0. */
export function secureBootEvents(
  given: {
    on?: boolean;
    db?: readonly Uint8Array[];
    authority?: Uint8Array | undefined;
    more?: readonly WrittenEvent[];
  } = {},
): WrittenEvent[] {
  const { on = true, db = [OUR_CERTIFICATE], more = [] } = given;
  const authority = 'authority' in given ? given.authority : on ? OUR_CERTIFICATE : undefined;
  const key = signatureList(X509_LIST, Buffer.from('a key of the owner'));
  return [
    config(GLOBAL_VARIABLE, 'SecureBoot', Uint8Array.of(on ? 1 : 0)),
    config(GLOBAL_VARIABLE, 'PK', key),
    config(GLOBAL_VARIABLE, 'KEK', key),
    config(SECURITY_DATABASE, 'db', concatBytes(...db.map((data) => signatureList(X509_LIST, data)))),
    config(SECURITY_DATABASE, 'dbx', signatureList(SHA256_LIST, Buffer.alloc(32, 0xdb))),
    ...more,
    { pcr: 7, type: EVENT_TYPE.EV_SEPARATOR, data: SEPARATOR_DATA },
    ...(authority === undefined
      ? []
      : [
          {
            pcr: 7,
            type: EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
            data: measuredVariable(SECURITY_DATABASE, 'db', concatBytes(OWNER, authority)),
          },
        ]),
  ];
}

export function config(guid: Uint8Array, name: string, content: Uint8Array): WrittenEvent {
  return {
    pcr: 7,
    type: EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
    data: measuredVariable(guid, name, content),
  };
}
