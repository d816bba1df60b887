import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { certificateList, composeFirmwareVars } from '../../lab/firmware-vars.ts';
import { createHttpBootEntry } from '../../lab/http-boot-entry.ts';
import { FIRMWARE_VARS_TEMPLATE } from '../../lab/machine.ts';
import {
  ATTRIBUTES,
  type FirmwareVariable,
  parseVariableStore,
  setVariables,
} from '../../lab/variable-store.ts';
import { toHex } from '../../src/core/bytes.ts';

const malformed = expect.objectContaining({ code: 'varstore-malformed' });
const STORE_BYTES = 2048;

/** An empty store as edk2 formats it, in a volume of one block. */
function emptyStore(): Buffer {
  const volume = Buffer.alloc(72 + STORE_BYTES, 0xff);
  volume.fill(0, 0, 72);
  volume.write('_FVH', 40);
  volume.writeUInt16LE(72, 48);
  volume.set(Buffer.from('782cf3aa7b949a43a1802e144ec37792', 'hex'), 72);
  volume.writeUInt32LE(STORE_BYTES, 88);
  volume.set([0x5a, 0xfe, 0, 0, 0, 0, 0, 0], 92);
  return volume;
}

const vendor = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const variables: FirmwareVariable[] = [
  { vendor, name: 'BootOrder', attributes: ATTRIBUTES.runtime, data: Buffer.from([0, 0]) },
  {
    vendor,
    name: 'PK',
    attributes: ATTRIBUTES.authenticated,
    data: Buffer.from('x'),
    epochSeconds: 1_700_000_001,
  },
];

describe('the variable store', () => {
  test('gives back what was set, with names, times and odd lengths', () => {
    const stored = parseVariableStore(setVariables(emptyStore(), variables));
    expect(stored.map((variable) => ({ ...variable, data: Buffer.from(variable.data) }))).toEqual(variables);
  });

  test('replaces a variable of the same name and keeps the others', () => {
    const first = setVariables(emptyStore(), variables);
    const second = setVariables(first, [{ ...variables[0], data: Buffer.from([7]) } as FirmwareVariable]);
    expect(parseVariableStore(second).map(({ name, data }) => [name, toHex(data)])).toEqual([
      ['PK', '78'],
      ['BootOrder', '07'],
    ]);
    expect(second.length).toBe(first.length);
  });

  test('leaves its input alone', () => {
    const store = emptyStore();
    setVariables(store, variables);
    expect(store.equals(emptyStore())).toBe(true);
  });

  test('skips a variable that firmware has marked as deleted', () => {
    const store = setVariables(emptyStore(), variables);
    store[72 + 28 + 2] = 0x3d;
    expect(parseVariableStore(store).map(({ name }) => name)).toEqual(['PK']);
  });

  test.each<[string, (store: Buffer) => void]>([
    ['no volume header', (s) => s.write('XXXX', 40)],
    ['another kind of store', (s) => s.fill(1, 72, 88)],
    ['a store longer than the file', (s) => s.writeUInt32LE(1 << 20, 88)],
    ['an unformatted store', (s) => s.writeUInt8(0xff, 92)],
    ['a variable beyond the store', (s) => s.writeUInt32LE(1 << 20, 72 + 28 + 40)],
    ['free space that is not erased', (s) => s.writeUInt8(0, s.length - 1)],
  ])('refuses %s', (_, change) => {
    const store = Buffer.from(setVariables(emptyStore(), variables));
    change(store);
    expect(() => parseVariableStore(store)).toThrow(malformed);
  });

  test('refuses more than fits', () => {
    const large = { vendor, name: 'Large', attributes: ATTRIBUTES.bootOnly, data: Buffer.alloc(STORE_BYTES) };
    expect(() => setVariables(emptyStore(), [large])).toThrow(
      expect.objectContaining({ code: 'varstore-full' }),
    );
  });
});

describe('createHttpBootEntry', () => {
  const mac = '52:54:00:12:34:56';
  test('is an active load option whose device path has the declared length and ends with the URI', () => {
    const url = 'https://10.0.2.2:8443/boot/x86-64/stage0.efi';
    const entry = Buffer.from(createHttpBootEntry({ mac, url, title: 'T' }));
    expect(entry.readUInt32LE(0)).toBe(1);
    const path = entry.subarray(6 + 4);
    expect(path.length).toBe(entry.readUInt16LE(4));
    expect(path.subarray(-4 - url.length, -4).toString()).toBe(url);
    expect(path.subarray(-4).toString('hex')).toBe('7fff0400');
    expect(path.includes(Buffer.from('525400123456', 'hex'))).toBe(true);
  });

  test.each(['http://10.0.2.2/x.efi', `https://a/${'x'.repeat(128)}`, 'https://a b'])(
    'refuses the URL %s',
    (url) => {
      expect(() => createHttpBootEntry({ mac, url, title: 'T' })).toThrow(
        expect.objectContaining({ code: 'boot-entry-invalid' }),
      );
    },
  );

  test('refuses what is no MAC address', () => {
    expect(() => createHttpBootEntry({ mac: '525400123456', url: 'https://a/', title: 'T' })).toThrow();
  });
});

test.skipIf(!existsSync(FIRMWARE_VARS_TEMPLATE))(
  'a machine’s variables fit the store that Debian ships',
  () => {
    const der = Buffer.alloc(1200, 5);
    const other = Buffer.alloc(900, 6);
    const store = composeFirmwareVars({
      template: readFileSync(FIRMWARE_VARS_TEMPLATE),
      secureBoot: { pk: der, kek: der, db: [der, other] },
      tlsCa: der,
      boot: { mac: '52:54:00:12:34:56', url: 'https://10.0.2.2:8443/stage0.efi' },
      epochSeconds: 1_700_000_000,
    });
    const stored = parseVariableStore(store);
    const names = [
      'PK',
      'KEK',
      'db',
      'SecureBootEnable',
      'CustomMode',
      'TlsCaCertificate',
      'Boot0000',
      'BootOrder',
    ];
    expect(stored.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
    expect(stored.find(({ name }) => name === 'db')?.data).toEqual(
      new Uint8Array([...certificateList(der), ...certificateList(other)]),
    );
  },
);
