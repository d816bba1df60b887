import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createHttpsClient } from '../../src/fleet-sim/wire/https-client.ts';

// A process of its own, so that nothing but the server can be slow: asks /healthz again and again on one
// connection and sends home how long each answer took, in milliseconds.
const [port = '', caFile = '', seconds = ''] = process.argv.slice(2);
const client = createHttpsClient({ port: Number(port), ca: readFileSync(caFile, 'utf8') });
await client.call('/healthz');

const latencies: number[] = [];
const until = performance.now() + Number(seconds) * 1000;
while (performance.now() < until) {
  const before = performance.now();
  await client.call('/healthz');
  latencies.push(performance.now() - before);
  await delay(3);
}
client.close();
process.send?.(latencies);
