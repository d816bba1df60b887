import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Measurement } from './bench-process.ts';
import { benchMemory } from './memory.ts';
import { benchServing } from './serve.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUILD = join(ROOT, 'build');
const PAGE = join(ROOT, 'docs', 'benchmarks.md');

const IMAGE = /\.efi$|^(?:vmlinuz|kernel|initramfs)/;

/** All benchmarks, one after another so that none disturbs another, and the page that shows them. */
const sections = [
  section('Serving artifacts', tableOf(await benchServing())),
  section('Memory', tableOf(await benchMemory())),
  section('Verifying evidence', await verification()),
  section('Images', tableOf(await images())),
  section('Booting', tableOf(await bootTimings())),
];
await writeFile(PAGE, [introduction(), ...sections].filter((part) => part !== '').join('\n'));
process.stdout.write(`${sections.join('\n')}\nwritten to docs/benchmarks.md\n`);

function introduction(): string {
  const [cpu] = cpus();
  const gibibytes = (totalmem() / 2 ** 30).toFixed(0);
  return `# Benchmarks

Written by \`make bench\`; numbers compare within one run, not across machines.

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

/** A benchmark of its own, which prints what it found. */
async function verification(): Promise<string> {
  const bench = fileURLToPath(new URL('./verify.ts', import.meta.url));
  if (!existsSync(bench)) return '';
  const { stdout } = await promisify(execFile)(process.execPath, [bench], { timeout: 60_000 });
  return `\`\`\`\n${stdout.trimEnd()}\n\`\`\`\n`;
}

/** Sizes of what nodes download, when it was built. */
async function images(): Promise<Measurement[]> {
  const folders = ['stage0', 'demo-os'].map((name) => join(BUILD, name)).filter(existsSync);
  const files = (await Promise.all(folders.map(filesOf))).flat();
  return Promise.all(
    files.map(async (file) => {
      const { size } = await stat(file);
      const aim = file.endsWith('.efi') ? '≤ 16, never above 24' : '';
      return { name: `${relative(BUILD, file)}, MiB`, value: (size / 2 ** 20).toFixed(1), aim };
    }),
  );
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && IMAGE.test(entry.name))
    .map((entry) => join(folder, entry.name));
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
