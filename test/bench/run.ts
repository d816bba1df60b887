import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measurement } from './bench-process.ts';
import { benchEk } from './ek.ts';
import { benchFloorBoot } from './floor-boot.ts';
import { measureImages } from './images.ts';
import { benchMemory } from './memory.ts';
import { benchMetadata } from './metadata.ts';
import { benchRollouts } from './rollouts.ts';
import { benchSaturation } from './saturation.ts';
import { benchServing } from './serve.ts';
import { benchKeyStores } from './signing-keys.ts';
import { benchSigningService } from './signing-service.ts';
import { benchVerify } from './verify.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUILD = join(ROOT, 'build');
const PAGE = join(ROOT, 'docs', 'benchmarks.md');

const VERIFY_NOTE = `\`node test/bench/verify.ts\`. Rates are per second of CPU time: the middle of fifteen rounds, and between which
two all of them lie. A quote is verified in full: decoding, extraData, signature, selection, PCR digest. What that
takes beside the signature is 3 µs: on RSA-2048, whose signature is verified in 20, that is more than a tenth,
which is why that ratio stays at 0.87 on a machine at rest.`;

const SATURATION_NOTE = `\`node test/bench/saturation.ts\`. Four honest machines and four with a genuine quote and an event log of 512 KiB
attest as fast as they are answered; the server, the machines and the one who asks \`/healthz\` share the cores. With
threads, what the event loop still does for each piece of evidence is TLS, JSON and the durable write of the verdict
with its evidence, of which the write is the largest part.`;

const SIGNING_SERVICE_NOTE = `\`node test/bench/signing-service.ts\`. From a client over the Unix socket to the front, from there to the key process,
which parses, judges, signs, verifies its own signature and writes the audit record durably, and back; a connection
for each call, client and front in one process. Clients that come together share a durable write.`;

const ROLLOUTS_NOTE = `\`node test/bench/rollouts.ts\`. A decision is what one node gets and why, in the second step of a rollout; the server
reads the node's history and counts those who try the release beside it. Switching reads the channel, decides, and
writes it durably with its events; nodes are not touched, so their number does not matter.`;

const KEYS_NOTE = `\`node test/bench/signing-keys.ts\`. Each store through our port beside its bare library, in alternating rounds on all
cores. The port answers no signature of a token that it has not verified, which for P-256 and Ed25519 costs more than
SoftHSM takes to make it: bare pkcs11js is shown with and without that. Tokens that are hardware take milliseconds.`;

const FLOOR_NOTE = `\`node test/bench/floor-boot.ts\`: boots of a machine that keeps a floor and of one whose stage-0 has no floor key, in turn;
CPU seconds of the emulated machine from the agent's start to the hand-over, scaled by what each took to reach stage-0.
What one boot takes varies by more than the floor does: by the clock inside the machine reading, certifying, writing or
locking, and reading back take 1.0 to 1.2 s together (2.0 s by a tool for each command).`;

/** All benchmarks, one after another so that none disturbs another, and the page that shows them. */
const sections = [
  section('Serving artifacts', tableOf(await benchServing())),
  section('Memory', tableOf(await benchMemory())),
  section('Verifying evidence, one core', `${VERIFY_NOTE}\n\n${tableOf(await benchVerify())}`),
  section(
    'Answering while attestation is saturated',
    `${SATURATION_NOTE}\n\n${tableOf(await benchSaturation())}`,
  ),
  section(
    'Signing service, keys in files',
    `${SIGNING_SERVICE_NOTE}\n\n${tableOf(await benchSigningService())}`,
  ),
  section('Slots and rollouts', `${ROLLOUTS_NOTE}\n\n${tableOf(await benchRollouts())}`),
  section('Release metadata, one core', tableOf(await benchMetadata())),
  section('EK certificates, one core', tableOf(await benchEk())),
  section('Signing: key stores', `${KEYS_NOTE}\n\n${tableOf(await benchKeyStores())}`),
  section('Images', tableOf(measureImages(BUILD))),
  section('Booting: QEMU without KVM, first boot with enrolment', tableOf(await bootTimings())),
  section('The floor, in QEMU without KVM', `${FLOOR_NOTE}\n\n${tableOf(await benchFloorBoot())}`),
];
await writeFile(PAGE, [introduction(), ...sections].filter((part) => part !== '').join('\n'));
process.stdout.write(`${sections.join('\n')}\nwritten to docs/benchmarks.md\n`);

function introduction(): string {
  const [cpu] = cpus();
  const gibibytes = (totalmem() / 2 ** 30).toFixed(0);
  return `# Benchmarks

Written by \`make bench\` (booting: by the last \`make demo\`); numbers compare within one run, not across machines.

Machine: ${cpus().length} × ${cpu?.model.trim()}, ${gibibytes} GiB of memory, Node ${process.versions.node}.
`;
}

function section(title: string, body: string): string {
  return body === '' ? '' : `## ${title}\n\n${body}`;
}

function tableOf(measurements: readonly Measurement[]): string {
  if (measurements.length === 0) return '';
  const rows = measurements.map(({ name, value, aim }) => `| ${name} | ${value} | ${aim} |`);
  return ['| what | measured | aim |', '| --- | --- | --- |', ...rows, ''].join('\n');
}

/** The timeline of the last demo: \`[{"name": "evidence accepted", "seconds": 46.2}]\`. */
async function bootTimings(): Promise<Measurement[]> {
  const file = join(BUILD, 'demo', 'boot-timings.json');
  if (!existsSync(file)) return [];
  const steps = JSON.parse(await readFile(file, 'utf8')) as { name: string; seconds: number }[];
  return steps.map(({ name, seconds }) => ({
    name: `${name}, s after power-on`,
    value: seconds.toFixed(1),
    aim: '',
  }));
}
