import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { HOSTILE_DOCUMENTS, type HostileDocument } from './hostile-documents.ts';

// The command as a user runs it, one process a document: no crash, no hang, no heap of half a gigabyte.
// By hand, all of them, with figures:
// BOOTWARD_ALL_DOCUMENTS=1 vitest run --project slow test/cli/hostile-documents.slow.test.ts
const ALL = process.env.BOOTWARD_ALL_DOCUMENTS !== undefined;

const DOCUMENTS = HOSTILE_DOCUMENTS.filter(({ byHand }) => ALL || byHand === undefined);
const MAX_CPU_SECONDS = 2;
const MAX_RESIDENT_MIB = 512;
/** Says on file descriptor 3 what the process took. */
const REPORT = `data:text/javascript,${encodeURIComponent(
  `import { writeSync } from 'node:fs';
   process.on('exit', () => writeSync(3, JSON.stringify(process.resourceUsage())));`,
)}`;

interface Outcome {
  status: number | null;
  firstCode: string;
  cpuSeconds: number;
  residentMib: number;
}

async function verify(document: Uint8Array): Promise<Outcome> {
  const child = spawn(process.execPath, ['--import', REPORT, 'bin/boot-admin.mjs', 'verify-evidence', '-'], {
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
  });
  const [, stdout, , usage] = child.stdio;
  if (stdout === null || usage === null || usage === undefined) throw new Error('the pipes are missing');
  child.stdin?.on('error', () => {}); // it stops reading what is too long
  child.stdin?.end(document);
  const [out, report, status] = await Promise.all([
    textOf(stdout),
    textOf(usage as NodeJS.ReadableStream),
    new Promise<number | null>((resolve) => child.on('exit', resolve)),
  ]);
  const verdict: { verdict: string; reasons: { code: string }[] } = JSON.parse(out);
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(report) as NodeJS.ResourceUsage;
  return {
    status,
    firstCode: verdict.reasons[0]?.code ?? verdict.verdict,
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
    residentMib: maxRSS / 1024,
  };
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

const statusOf = (outcome: string) => ({ accept: 0, 'evidence-unreadable': 64 })[outcome] ?? 1;

describe('boot-admin verify-evidence on documents that cost the most', () => {
  it.each(DOCUMENTS.map((hostile): [string, HostileDocument] => [hostile.name, hostile]))(
    '%s',
    async (name, { document, outcome }) => {
      const { cpuSeconds, residentMib, ...came } = await verify(document());
      if (ALL) console.log(`${name}: ${cpuSeconds.toFixed(2)} s, ${residentMib.toFixed(0)} MiB`);
      expect(came).toEqual({ status: statusOf(outcome), firstCode: outcome });
      expect(cpuSeconds).toBeLessThan(MAX_CPU_SECONDS);
      expect(residentMib).toBeLessThan(MAX_RESIDENT_MIB);
    },
  );
});
