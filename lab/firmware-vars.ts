import { concatBytes } from '../src/core/bytes.ts';
import { createHttpBootEntry } from './http-boot-entry.ts';
import { ATTRIBUTES, type FirmwareVariable, guidBytes, setVariables } from './variable-store.ts';

/** Certificates in DER (UEFI 2.10, section 32.3). */
export interface SecureBootCertificates {
  pk: Uint8Array;
  kek: Uint8Array;
  /** Whoever may sign what firmware starts. */
  db: readonly Uint8Array[];
}

export interface FirmwareSetup {
  /** An empty store, as Debian's OVMF_VARS_4M.fd. */
  template: Uint8Array;
  /** Absent: Secure Boot stays off. */
  secureBoot?: SecureBootCertificates;
  /** The only CA that firmware's HTTPS client will trust, DER. */
  tlsCa: Uint8Array;
  boot: { mac: string; url: string };
  /** When the Secure Boot variables say that they were written. */
  epochSeconds: number;
}

const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const IMAGE_SECURITY_DATABASE = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const SECURE_BOOT_ENABLE = 'f0a30bc7-af08-4556-99c4-001009c93a44';
const CUSTOM_MODE = 'c076ec0c-7028-4399-a072-71ee5c448b9f';
const TLS_CA_CERTIFICATE = 'fd2340d0-3dab-4349-a6c7-3b4f12b48eae';
const CERT_X509 = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072';
const SIGNATURE_OWNER = '3f0a5b1e-6c0d-4c47-9a58-b0074a4d0001';

/** The store of a machine as its owner would have set it up by hand in the firmware's menus. */
export function composeFirmwareVars(setup: FirmwareSetup): Uint8Array {
  const entry = createHttpBootEntry({ ...setup.boot, title: 'Bootward' });
  return setVariables(setup.template, [
    ...(setup.secureBoot === undefined ? [] : secureBootVariables(setup.secureBoot, setup.epochSeconds)),
    {
      vendor: TLS_CA_CERTIFICATE,
      name: 'TlsCaCertificate',
      attributes: ATTRIBUTES.bootOnly,
      data: certificateList(setup.tlsCa),
    },
    { vendor: GLOBAL, name: 'Boot0000', attributes: ATTRIBUTES.runtime, data: entry },
    { vendor: GLOBAL, name: 'BootOrder', attributes: ATTRIBUTES.runtime, data: Uint8Array.of(0, 0) },
  ]);
}

/** An EFI_SIGNATURE_LIST of one certificate (section 32.4.1). */
export function certificateList(der: Uint8Array): Uint8Array {
  const header = new Uint8Array(28);
  const view = new DataView(header.buffer);
  header.set(guidBytes(CERT_X509));
  view.setUint32(16, header.length + 16 + der.length, true);
  view.setUint32(24, 16 + der.length, true);
  return concatBytes(header, guidBytes(SIGNATURE_OWNER), der);
}

function secureBootVariables(
  { pk, kek, db }: SecureBootCertificates,
  epochSeconds: number,
): FirmwareVariable[] {
  const keys = (vendor: string, name: string, certificates: readonly Uint8Array[]): FirmwareVariable => ({
    vendor,
    name,
    attributes: ATTRIBUTES.authenticated,
    data: concatBytes(...certificates.map(certificateList)),
    epochSeconds,
  });
  const byte = (vendor: string, name: string, value: number): FirmwareVariable => ({
    vendor,
    name,
    attributes: ATTRIBUTES.bootOnly,
    data: Uint8Array.of(value),
  });
  return [
    keys(GLOBAL, 'PK', [pk]),
    keys(GLOBAL, 'KEK', [kek]),
    keys(IMAGE_SECURITY_DATABASE, 'db', db),
    byte(SECURE_BOOT_ENABLE, 'SecureBootEnable', 1),
    byte(CUSTOM_MODE, 'CustomMode', 0),
  ];
}
