import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeEvidenceDocument } from '../../src/attestation/evidence/evidence-file.ts';
import { readLines } from '../../src/cli/bounded-lines.ts';
import { runEventLogReplay } from '../../src/cli/eventlog-replay.ts';
import { runVerifyEvidence } from '../../src/cli/verify-evidence.ts';
import { asciiBytes, concatBytes, EMPTY, toHex, utf8Bytes } from '../../src/core/bytes.ts';
import { le32 } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { AK, BOOT_LOG, EXTRA_DATA, POLICY, pcrsOf, sealEvidence } from '../attestation/evidence-fixture.ts';

const fields = {
  akPublic: AK.publicBytes,
  expectedExtraData: EXTRA_DATA,
  ...sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG) }),
  policy: POLICY,
};
const ACCEPTED = encodeEvidenceDocument(fields);
const REFUSED = encodeEvidenceDocument({ ...fields, expectedExtraData: new Uint8Array(32) });
const HELD = encodeEvidenceDocument({
  ...fields,
  previous: { clock: 1n, resetCount: 8, restartCount: 0, firmwareVersion: 0x2016_0511_0016_2800n },
});

async function* inChunks(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

function fakeIo(input: Uint8Array) {
  const out: string[] = [];
  const errors: string[] = [];
  const io = {
    open: () => inChunks(input),
    writeOut: (text: string) => out.push(text),
    writeError: (text: string) => errors.push(text),
  };
  return { io, out, errors };
}

async function run(input: Uint8Array | string, jsonl = false) {
  const { io, out, errors } = fakeIo(typeof input === 'string' ? utf8Bytes(input) : input);
  const status = await runVerifyEvidence({ file: '-', jsonl }, io);
  const lines = out.join('').split('\n').slice(0, -1);
  return { status, verdicts: lines.map((line) => JSON.parse(line)), errors };
}

describe('boot-admin verify-evidence', () => {
  it.each<[string, string, number]>([
    ['accept', ACCEPTED, 0],
    ['refuse', REFUSED, 1],
    ['hold', HELD, 2],
  ])('prints one line and exits as the verdict says: %s', async (verdict, text, status) => {
    expect(await run(text)).toMatchObject({ status, verdicts: [{ verdict }], errors: [] });
  });

  it.each(['', 'not json', '[]', '{"format":"other"}'])(
    'exits 64 for what is no evidence file: %j',
    async (text) => {
      expect(await run(text)).toMatchObject({
        status: 64,
        verdicts: [{ verdict: 'refuse', reasons: [{ code: 'evidence-unreadable' }] }],
      });
    },
  );

  it('exits 64 and says why when the file cannot be read', async () => {
    const { io, errors } = fakeIo(new Uint8Array(0));
    const broken = {
      ...io,
      open: () => {
        throw new Error('ENOENT');
      },
    };
    expect(await runVerifyEvidence({ file: 'nowhere.json', jsonl: false }, broken)).toBe(64);
    expect(errors).toEqual(['boot-admin: nowhere.json: ENOENT\n']);
  });

  it('stops reading what never ends', async () => {
    const endless = (start: string) => ({
      ...fakeIo(new Uint8Array(0)).io,
      open: async function* () {
        yield asciiBytes(start);
        for (;;) yield new Uint8Array(4 * 1024 * 1024);
      },
    });
    const options = { file: '-', jsonl: false };
    expect(await runVerifyEvidence(options, endless(''))).toBe(64);
    expect(await runVerifyEvidence(options, endless('{"format":"bootward-evidence-v1","x":"'))).toBe(1);
  });

  it('tells a document that is too long from what never was one', async () => {
    const long = 'A'.repeat(24 * 1024 * 1024);
    const status = async (text: string) => (await run(text)).status;
    expect(await status(`{"eventLog":"${long}","format":"bootward-evidence-v1"}`)).toBe(1);
    expect(await status(`{"format":"another","x":"${long}"}`)).toBe(64);
    expect(await status(`"bootward-evidence-v1${long}"`)).toBe(64);
    expect(await status(long)).toBe(64);
  });
});

describe('boot-admin verify-evidence --jsonl', () => {
  it('prints one verdict a line, in order', async () => {
    const { verdicts } = await run([ACCEPTED, REFUSED, 'x', '', HELD].join('\n'), true);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['accept', 'refuse', 'refuse', 'refuse', 'hold']);
    expect(verdicts[2].reasons[0].code).toBe('evidence-unreadable');
  });

  it.each<[string[], number]>([
    [[ACCEPTED, ACCEPTED], 0],
    [[ACCEPTED, HELD], 2],
    [[HELD, REFUSED, ACCEPTED], 1],
    [[REFUSED, 'x', HELD], 64],
    [[], 64],
  ])('exits as the worst line says (%#)', async (lines, status) => {
    expect((await run(lines.map((line) => `${line}\n`).join(''), true)).status).toBe(status);
  });

  it('goes on after a line that is too long', async () => {
    const lines = [];
    for await (const line of readLines(inChunks(asciiBytes('abcdefgh\nij\n\nk'), 3), 4))
      lines.push(Buffer.from(line).toString());
    expect(lines).toEqual(['abcde', 'ij', '', 'k']);
  });
});

describe('boot-admin in a pipe', () => {
  it('ends quietly when the reader has seen enough', () => {
    const command = '"$0" bin/boot-admin.mjs verify-evidence --jsonl - | head -n 1';
    const input = 'x\n'.repeat(5000);
    const { stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath], {
      input,
      encoding: 'utf8',
    });
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toBe('');
  });
});

describe('boot-admin eventlog replay', () => {
  const replay = async (bytes: Uint8Array) => {
    const { io, out, errors } = fakeIo(bytes);
    return { status: await runEventLogReplay({ file: 'log' }, io), out: out.join(''), errors };
  };

  it('prints the PCRs of every bank', async () => {
    const { status, out } = await replay(BOOT_LOG);
    expect(status).toBe(0);
    const expected = toHex(pcrsOf(BOOT_LOG).get(7) ?? new Uint8Array(0));
    expect(JSON.parse(out).banks.sha256['7']).toBe(expected);
  });

  it('reads logs in the old SHA-1 format too', async () => {
    const event = concatBytes(le32(4), le32(0x0d), new Uint8Array(20).fill(1), le32(1), Uint8Array.of(9));
    const { status, out } = await replay(event);
    const pcr4 = createHash('sha1')
      .update(new Uint8Array(20))
      .update(new Uint8Array(20).fill(1))
      .digest('hex');
    expect([status, JSON.parse(out)]).toEqual([0, { banks: { sha1: { 4: pcr4 } } }]);
    expect(await replay(event.subarray(0, -1))).toMatchObject({ status: 1, out: '' });
    expect(await replay(EMPTY)).toMatchObject({ status: 1, out: '' });
  });

  it('says by name why a log is refused', async () => {
    expect(await replay(concatBytes(BOOT_LOG, Uint8Array.of(0)))).toMatchObject({
      status: 1,
      out: '',
      errors: [expect.stringMatching(/^boot-admin: log: truncated: /)],
    });
  });

  it('stops reading a log that is too long, and exits 64 when there is none', async () => {
    const { io } = fakeIo(new Uint8Array(0));
    const endless = async function* () {
      for (;;) yield new Uint8Array(16 * 1024 * 1024);
    };
    expect(await runEventLogReplay({ file: '-' }, { ...io, open: endless })).toBe(1);
    const missing = () => {
      throw new Error('ENOENT');
    };
    expect(await runEventLogReplay({ file: '-' }, { ...io, open: missing })).toBe(64);
  });
});
