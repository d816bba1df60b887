import type { ChildProcess } from 'node:child_process';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

export interface Measurement {
  name: string;
  value: string;
  /** What was aimed for, or empty. */
  aim: string;
}

const TICKS_PER_SECOND = 100;

/** User and system time of a whole process so far, as the kernel counts it (proc(5), fields 14 and 15). */
export function cpuSecondsOf(process: { pid?: number | undefined }): number {
  const fields = readFileSync(`/proc/${process.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Current and highest resident memory in MB (10^6 bytes). */
export function residentMegabytesOf(process: ChildProcess): { now: number; peak: number } {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  const field = (name: string): number =>
    (Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024) / 1e6;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** Downloads the addresses one after another on one connection, in a process of its own, and drops the bytes. */
export async function download(urls: readonly string[]): Promise<void> {
  const options = ['-sS', '--fail', '--insecure', '--http1.1', '--tlsv1.3', '--max-time', '60'];
  const outputs = urls.flatMap((url) => ['-o', '/dev/null', url]);
  await promisify(execFile)('curl', [...options, ...outputs]);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The middle one, and between which two all of them lie. */
export function spreadOf(values: readonly number[], digits = 2): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}
