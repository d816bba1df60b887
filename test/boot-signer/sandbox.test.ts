import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ServiceFolder } from './service-fixture.ts';

async function folder(): Promise<ServiceFolder> {
  const service = new ServiceFolder();
  await service.addKey('online');
  service.configure({ roles: [{ role: 'timestamp', keys: ['online'], maxDays: 30 }] });
  await service.initialise();
  return service;
}

/** What the process that holds the keys can reach, tried from inside by code that runs there before ours. */
const PROBES = `
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as dgram from 'node:dgram';
import * as dns from 'node:dns';
import { spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
const tries = {
  'write a file': () => fs.writeFileSync(process.argv[2] + '.new', ''),
  'remove a file': () => fs.rmSync(process.argv[2]),
  'read another file': () => fs.readFileSync('/etc/hostname'),
  'read its own memory': () => fs.readFileSync('/proc/self/environ'),
  'start a program': () => spawn('/bin/true'),
  'start a thread': () => new Worker('0', { eval: true }),
  'load native code': () => process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libc.so.6'),
  'listen': () => net.createServer().listen('/tmp/never.sock'),
  'connect to a socket': () => net.connect('/run/systemd/notify'),
  'connect to a port': () => net.connect(9, '127.0.0.1'),
  'send a datagram': () => dgram.createSocket('udp4').bind(0),
};
const found = {};
for (const [name, attempt] of Object.entries(tries)) {
  try {
    const made = attempt();
    if (made !== undefined && 'once' in made) made.once('error', (error) => { found[name] = error.code; });
    found[name] = 'possible';
  } catch (error) { found[name] = error.code; }
}
dns.lookup('localhost.invalid', (error) => { found['look up a name'] = error?.code; });
await new Promise((resolve) => setTimeout(resolve, 200));
process.stderr.write('PROBED ' + JSON.stringify(found) + '\\n');
`;

describe('the process that holds the keys', () => {
  it('writes, starts, loads and connects to nothing, by the permission model of the runtime', async () => {
    const service = await folder();
    const running = await service.start({ keyProcess: service.writeKeyProcess('() => {}', PROBES) });
    expect(running.isReady).toBe(true);
    const [, found = '{}'] = /PROBED (.*)/.exec(running.stderr()) ?? [];
    const denied = Object.entries(JSON.parse(found)).filter(([, code]) => code === 'possible');
    expect(denied).toEqual([]);
    expect(Object.keys(JSON.parse(found))).toHaveLength(12);
  });

  it('runs with no more flags than these, and with nothing secret in arguments or environment', async () => {
    const service = await folder();
    const { keyProcessPid } = await service.start();
    const args = readFileSync(`/proc/${keyProcessPid}/cmdline`, 'utf8').split('\0');
    const flags = args.filter((arg) => arg.startsWith('--')).map((arg) => arg.split('=')[0]);
    expect([...new Set(flags)]).toEqual(['--permission', '--allow-fs-read']);
    expect(
      args.filter((arg) => arg.startsWith('--allow-fs-read=')).map((arg) => arg.slice(16)),
    ).not.toContain('/');
    expect(readFileSync(`/proc/${keyProcessPid}/environ`, 'utf8')).toBe('');
    expect(args.join(' ')).not.toContain('correct horse');
  });

  it('does not start with a wrong passphrase, and tries it once', async () => {
    const service = await folder();
    writeFileSync(join(service.folder, 'passphrase'), 'a wrong one\n');
    const running = await service.start();
    expect(await running.ended).toBe(78);
    expect(running.stderr()).toContain('passphrase-wrong');
  });

  it('does not start when the secret is not there', async () => {
    const service = await folder();
    const keys = [{ name: 'online', reference: 'file:online.json', secret: 'credential:absent' }];
    service.configure({ keys, roles: [{ role: 'timestamp', keys: ['online'], maxDays: 30 }] });
    const running = await service.start();
    expect(running.stderr()).toContain('secret-missing');
  });
});
