import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, parseConfig } from '../../src/boot-server/config.ts';
import { SETTINGS } from '../../src/boot-server/config-schema.ts';
import { temporaryFolder } from '../temporary-folder.ts';

function parse(text: string, environment: Record<string, string> = {}) {
  return parseConfig({ text, origin: 'bootward.yaml', folder: '/srv/boot', environment });
}

describe('configuration', () => {
  it('an empty file is a server on loopback', () => {
    const config = parse('');
    expect(config.firmware).toEqual({ host: '127.0.0.1', port: 8443 });
    expect(config.agents).toEqual({ host: '127.0.0.1', port: 8444 });
    expect(config.operators).toEqual({ socket: '/srv/boot/bootward-data/operators.sock', mode: '0600' });
    expect(config.policy).toEqual({ eventLog: 'required', requireSecureBoot: true });
  });

  it('reads JSON as well as YAML', () => {
    expect(parse('{"firmware": {"port": 1}}').firmware).toEqual(parse('firmware:\n  port: 1\n').firmware);
  });

  it("makes paths absolute against the file's folder", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'bootward.yaml');
    await writeFile(
      file,
      'dataDir: state\ntpmVendors: [vendors, /etc/vendors]\ntrust: {rootFile: 1.root.json}\n',
    );
    const config = loadConfig(undefined, { BOOTWARD_CONFIG: file });
    expect(config.dataDir).toBe(join(folder, 'state'));
    expect(config.tpmVendors).toEqual([join(folder, 'vendors'), '/etc/vendors']);
    expect(config.trust).toEqual({ rootFile: join(folder, '1.root.json') });
  });

  it('the environment goes over the file', () => {
    const environment = {
      BOOTWARD_FIRMWARE_PORT: '4433',
      BOOTWARD_PUBLIC_HOSTS: '10.0.0.5, boot.example.net',
      BOOTWARD_POLICY_REQUIRE_SECURE_BOOT: 'false',
      BOOTWARD_ADMIN_SOCKET: '/elsewhere',
      PATH: '/bin',
    };
    const config = parse('firmware: {port: 1, host: 0.0.0.0}', environment);
    expect(config.firmware).toEqual({ port: 4433, host: '0.0.0.0' });
    expect(config.publicHosts).toEqual(['10.0.0.5', 'boot.example.net']);
    expect(config.policy.requireSecureBoot).toBe(false);
  });

  it.each([
    ['firmware: {prot: 1}', /^firmware\.prot: there is no such setting.*firmware\.port/],
    ['firmwear: {}', /^firmwear: there is no such setting/],
    ['__proto__: {x: 1}', /^__proto__: there is no such setting/],
    ['firmware: 1', /^firmware: expected the keys firmware\.host, firmware\.port, found 1/],
    [
      'firmware: {port: 65536}',
      /^firmware\.port: expected a TCP port from 0 to 65535, found 65536.*BOOTWARD_FIRMWARE_PORT/,
    ],
    ['firmware: {port: "1"}', /^firmware\.port: .*found "1"/],
    ['firmware: {port: 1.5}', /^firmware\.port: /],
    ['publicHosts: []', /^publicHosts: expected a list of 1 to 64/],
    ['publicHosts: ["https://x"]', /^publicHosts: .*found "https:\/\/x"/],
    ['policy: {eventLog: maybe}', /^policy\.eventLog: expected one of required, optional, found "maybe"/],
    ['policy: {requireSecureBoot: "no"}', /^policy\.requireSecureBoot: expected true or false/],
    ['operators: {mode: "0666"}', /^operators\.mode: expected one of 0600, 0660/],
    ['dataDir:', /^dataDir: .*found null/],
    [`operators: {socket: /${'a'.repeat(107)}}`, /^operators\.socket: .*longer than 107 bytes/],
    ['- a', /^bootward\.yaml: expected "key: value" lines/],
    ['dataDir: a\ndataDir: b', /keys must be unique/],
    ['a: &x 1\nb: *x', /^bootward\.yaml: Alias/],
    ['!!js/function x: 1', /^bootward\.yaml: Unresolved tag/],
    ['firmware: {', /^bootward\.yaml: /],
  ])('refuses %j and says what to do', (text, message) => {
    const outcome = () => parse(text);
    expect(outcome).toThrow(message);
    expect(outcome).toThrow(expect.objectContaining({ code: 'config-invalid' }));
  });

  it.each([
    [{ BOOTWARD_FIRMWARE_PROT: '1' }, /^BOOTWARD_FIRMWARE_PROT names no setting/],
    [{ BOOTWARD_FIRMWARE_PORT: '0x50' }, /^firmware\.port: .*found "0x50"/],
    [{ BOOTWARD_FIRMWARE_PORT: '' }, /^firmware\.port: /],
    [{ BOOTWARD_POLICY_REQUIRE_SECURE_BOOT: 'FALSE' }, /^policy\.requireSecureBoot: /],
  ])('refuses the environment %j', (environment, message) => {
    expect(() => parse('', environment)).toThrow(message);
  });

  it('a file that is not there is an error, not the defaults', () => {
    expect(() => loadConfig('/does/not/exist.yaml', {})).toThrow(
      expect.objectContaining({ code: 'config-unreadable' }),
    );
  });

  it('every setting is documented with its default name, and nothing else is', () => {
    const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\| `([A-Za-z.]+)`/gm)].map((match) => match[1]);
    expect(documented).toEqual(SETTINGS.map(({ key }) => key));
  });
});
