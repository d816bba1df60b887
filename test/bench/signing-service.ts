import { constants } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalize } from '@tufjs/canonical-json';
import { loadConfig } from '../../src/boot-signer/config.ts';
import { initialiseState } from '../../src/boot-signer/initialise.ts';
import { startSigningService } from '../../src/boot-signer/serve.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { asciiBytes } from '../../src/core/bytes.ts';
import { createKeyFile } from '../../src/signing/keys/key-file.ts';
import type { Scheme } from '../../src/signing/public-key.ts';
import type { Signer } from '../../src/signing/signer.ts';
import { composeDelegated } from '../../src/signing/tuf/compose.ts';
import { type Measurement, median } from './bench-process.ts';

const CLIENTS = 16;
const REQUESTS = 640;
const ONE_BY_ONE = 160;
const PASSPHRASE = 'correct horse battery staple';
const MEASURED: readonly Scheme[] = ['ed25519', 'ecdsa-sha2-nistp256', 'rsassa-pss-sha256', 'ml-dsa-65'];

/**
 * Signatures through the whole service, from the client over the socket and the front to the key process and
 * its durable record and back, beside the bare library and a bare durable write in the same run.
 */
export async function benchSigningService(): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const scheme of MEASURED) measurements.push(...(await benchScheme(scheme)));
  const write = await durableWriteMs();
  return [...measurements, row('a durable write of 700 bytes alone, ms p50', write.toFixed(2))];
}

async function benchScheme(scheme: Scheme): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-bench-'));
  try {
    const signer = await createKeyFile({
      path: join(folder, 'key.json'),
      passphrase: PASSPHRASE,
      logN: 14,
      scheme,
    });
    const configFile = await writeConfig(folder);
    await initialiseState(loadConfig(configFile), { nowMs: Date.now() });
    const service = await startSigningService({ configFile, environment: {} });
    const bare = await bareRate(signer);
    const one = await load({ folder, keyId: signer.keyId, clients: 1, requests: ONE_BY_ONE, from: 1 });
    const many = await load({
      folder,
      keyId: signer.keyId,
      clients: CLIENTS,
      requests: REQUESTS,
      from: ONE_BY_ONE + 1,
    });
    await service.stop();
    return [
      row(`${scheme}: bare library, signatures/s`, bare.toFixed(0)),
      row(
        `${scheme}: through the service, one client, ms p50 / p99`,
        `${one.p50.toFixed(1)} / ${one.p99.toFixed(1)}`,
      ),
      row(`${scheme}: through the service, ${CLIENTS} clients, signatures/s`, many.rate.toFixed(0)),
      row(`${scheme}: the same, ms p50 / p99`, `${many.p50.toFixed(1)} / ${many.p99.toFixed(1)}`),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const channel = (client: number): string => `b${client}`;

async function writeConfig(folder: string): Promise<string> {
  const path = join(folder, 'config.yaml');
  await writeFile(join(folder, 'passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 });
  const key = {
    name: 'key',
    reference: 'file:key.json',
    secret: 'file:passphrase',
    signaturesPerMinute: 1_000_000,
  };
  const roles = Array.from({ length: CLIENTS }, (_, client) => ({
    role: `channel-${channel(client)}`,
    keys: ['key'],
    maxDays: 30,
  }));
  const socket = { path: 's.sock', mode: '0600' };
  await writeFile(
    path,
    JSON.stringify({ stateDir: 'state', socket, logLevel: 'silent', keys: [key], roles }),
  );
  return path;
}

/** Each client signs its own channel, one version after another. */
async function load(input: {
  folder: string;
  keyId: string;
  clients: number;
  requests: number;
  from: number;
}) {
  const { folder, keyId, clients, requests, from } = input;
  const signer = createSigningServiceSigner({ socketPath: join(folder, 's.sock') });
  const expiresMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
  const times: number[] = [];
  const work = async (client: number): Promise<void> => {
    const first = client === 0 ? from : 1;
    for (let version = first; version < first + requests / clients; version += 1) {
      const canonical = asciiBytes(canonicalize(composeDelegated({ version, expiresMs }, {})));
      const before = performance.now();
      await signer.sign({ role: `channel-${channel(client)}`, keyIds: [keyId], canonical });
      times.push(performance.now() - before);
    }
  };
  const before = performance.now();
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  const seconds = (performance.now() - before) / 1000;
  return { rate: requests / seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

async function bareRate(signer: Signer): Promise<number> {
  const message = Buffer.alloc(400, 1);
  const rates: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const before = performance.now();
    for (let count = 0; count < 100; count += 1) await signer.sign(message);
    rates.push(100_000 / (performance.now() - before));
  }
  return median(rates);
}

async function durableWriteMs(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-bench-'));
  const file = await open(
    join(folder, 'log'),
    constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND | constants.O_DSYNC,
  );
  const times: number[] = [];
  for (let count = 0; count < 200; count += 1) {
    const before = performance.now();
    await file.write(Buffer.alloc(700, 1));
    times.push(performance.now() - before);
  }
  await file.close();
  await rm(folder, { recursive: true });
  return quantile(times, 0.5);
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function row(name: string, value: string): Measurement {
  return { name, value, aim: '' };
}

if (import.meta.main)
  for (const { name, value, aim } of await benchSigningService()) console.log(`${name}: ${value} ${aim}`);
