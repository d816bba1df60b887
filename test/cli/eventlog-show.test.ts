import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeEvidenceDocument } from '../../src/attestation/evidence/evidence-file.ts';
import { formatFindings } from '../../src/cli/boot-admin/findings.ts';
import { showQuotedLog } from '../../src/cli/eventlog-quoted.ts';
import { EMPTY } from '../../src/core/bytes.ts';
import { bootEvents, variableData, writeLog } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { EVENT_TYPE } from '../../src/tpm/event-types.ts';
import { AK, BOOT_LOG, EXTRA_DATA, POLICY, pcrsOf, sealEvidence } from '../attestation/evidence-fixture.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/boot-admin.mjs');
const HOSTILE = writeLog([
  ...bootEvents(),
  { pcr: 1, type: EVENT_TYPE.EV_EFI_VARIABLE_BOOT, data: variableData('\x1b[2Jowned\nEVENT', EMPTY) },
]);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootward-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function show(
  log: Uint8Array,
  ...args: string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
  const file = join(folder, 'log.bin');
  writeFileSync(file, log);
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, 'eventlog', 'show', file, ...args], (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

describe('boot-admin eventlog show', () => {
  it('prints PCRs and events as a table, A10 in printable characters only', async () => {
    const { status, stdout } = await show(HOSTILE);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^[\x20-\x7e\n]+$/);
    expect(stdout).toMatch(/^1 +0 +EV_S_CRTM_VERSION +[0-9a-f]{16} +data +"1\.0"$/m);
    expect(stdout).toContain('\\u{1b}[2Jowned\\u{a}EVENT');
    expect(stdout.match(/^EVENT/gm)).toHaveLength(1);
  });

  it('prints JSON of the PCRs that are asked for', async () => {
    const { stdout } = await show(BOOT_LOG, '--pcr', '4,7', '-o', 'json');
    const { bank, events, pcrs } = JSON.parse(stdout);
    expect(bank).toBe('sha256');
    expect(new Set(events.map(({ pcr }: { pcr: number }) => pcr))).toEqual(new Set([4, 7]));
    expect(pcrs).toHaveLength(2);
  });

  it('says what is wrong with a file, a bank or a PCR', async () => {
    expect(await show(BOOT_LOG.subarray(0, -1))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('truncated'),
    });
    expect(await show(BOOT_LOG, '--bank', 'sha512')).toMatchObject({
      status: 1,
      stderr: 'boot-admin: the log has bank sha256, not sha512\n',
    });
    expect((await show(BOOT_LOG, '--pcr', '24')).stderr).toContain('is not a PCR number');
  });
});

describe('boot-admin verdicts log', () => {
  const fields = {
    akPublic: AK.publicBytes,
    expectedExtraData: EXTRA_DATA,
    policy: POLICY,
    ...sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG) }),
  };

  async function printed(document: string): Promise<string> {
    const lines: string[] = [];
    const write = vi
      .spyOn(process.stdout, 'write')
      .mockImplementation((text) => lines.push(String(text)) > 0);
    try {
      await showQuotedLog(document, { output: 'table' });
    } finally {
      write.mockRestore();
    }
    return lines.join('');
  }

  it('shows what the quote answers for', async () => {
    const text = await printed(encodeEvidenceDocument(fields));
    expect(text).toContain('beside the values that its quote answers for');
    expect(text).toMatch(/^4 +agrees /m);
    expect(text).toMatch(/ data +"1\.0"$/m);
  });

  it('believes nothing when the signature of the quote does not hold', async () => {
    const signature = Uint8Array.from(fields.signature, (byte, index) => (index === 20 ? byte ^ 1 : byte));
    const text = await printed(encodeEvidenceDocument({ ...fields, signature }));
    expect(text).toContain('does not hold (signature-invalid)');
    expect(text).not.toMatch(/ (?:data|digest) +"/);
  });

  it('says when there is no log, or no evidence', async () => {
    const { eventLog, ...without } = fields;
    expect(eventLog).toBeDefined();
    await expect(printed(encodeEvidenceDocument(without))).rejects.toThrow('holds no event log');
    await expect(printed('{}')).rejects.toThrow('evidence-unreadable');
    const torn = encodeEvidenceDocument({ ...fields, eventLog: BOOT_LOG.subarray(0, -1) });
    await expect(printed(torn)).rejects.toThrow('truncated');
  });
});

describe('boot-admin verdicts show', () => {
  it('explains each reason and note: what was found, what it means, what to do', () => {
    const [reason, note] = formatFindings({
      reasons: [{ code: 'stage0-withdrawn', message: 'PCR 4: \x1b[31mbuild 41' }],
      notes: [{ code: 'clock-not-safe', message: 'TPM clock' }],
    });
    expect(reason?.split('\n')).toEqual([
      'refuse stage0-withdrawn',
      '  found    PCR 4: \\u{1b}[31mbuild 41',
      expect.stringMatching(/^ {2}means {4}What firmware started/),
      expect.stringMatching(/^ {2}do {7}Reboot the machine/),
    ]);
    expect(note).toMatch(/^note clock-not-safe\n/);
  });

  it('prints what it does not know as the server said it, and that there was nothing', () => {
    expect(formatFindings({ reasons: [{ code: 'of-tomorrow', message: 'why' }], notes: [] })).toEqual([
      'reason of-tomorrow\n  found    why',
    ]);
    expect(formatFindings({ reasons: [], notes: [] })).toEqual(['nothing was found against it']);
  });
});
