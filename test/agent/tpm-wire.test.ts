import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cleanup, createCleanup } from '../../lab/cleanup.ts';
import { createTpmManufacturer } from '../../lab/software-tpm.ts';
import { type HostTpm, startHostTpm } from './host-tpm.ts';
import { commandCode, tapTpm } from './tpm-tap.ts';

// Conversations with the TPM in its own bytes: agent/lib/tpm-wire.sh, and what is made of answers.

const LIBRARY = fileURLToPath(new URL('../../agent/lib', import.meta.url));
const SHELLS = ['dash', 'busybox sh'];
const GET_RANDOM = 0x17b;
const FOUR_BYTES = '80010000017b0004';

let cleanup: Cleanup;
let tpm: HostTpm;
let folder: string;
beforeAll(async () => {
  cleanup = createCleanup();
  folder = cleanup.createFolder('wire');
  tpm = await startHostTpm(
    { manufacturer: createTpmManufacturer(join(folder, 'manufacturer')), folder },
    cleanup,
  );
});
afterAll(() => cleanup.close());

/** The lines that a script writes which has the agent's functions, and whose `stop` says so. */
async function say(shell: string, script: string, tcti = tpm.tcti): Promise<string[]> {
  const [program = '', ...args] = shell.split(' ');
  const libraries = ['bytes', 'tpm', 'tpm-wire', 'ak', 'floor', 'floor-keep'];
  const sources = libraries.map((name) => `. ${LIBRARY}/${name}.sh`).join('\n');
  const prelude = `set -u; BOOTWARD_RUN=${folder}; stop() { echo "stop $*"; exit 1; }\n${sources}\n`;
  const options = {
    encoding: 'utf8',
    timeout: 30_000,
    env: { ...process.env, TPM2TOOLS_TCTI: tcti },
  } as const;
  const { stdout } = await promisify(execFile)(program, [...args, '-c', prelude + script], options);
  return stdout.trim().split('\n');
}

describe.each(SHELLS)('a conversation, under %s', (shell) => {
  it('gives each command its answer, however many come at once', async () => {
    const ask = `wire_ask ${Array(40).fill(FOUR_BYTES).join(' ')}`;
    const [answers = ''] = await say(shell, `wire_open; ${ask}; echo "$wire_answers"; wire_close`);
    expect(answers.trim().split(' ')).toHaveLength(40);
    expect(answers.trim().split(' ')).toEqual(Array(40).fill(expect.stringMatching(/^0004[0-9a-f]{8}$/)));
  });

  it('says how the TPM answered, and goes on', async () => {
    const script = `wire_open; wire_ask ${FOUR_BYTES} 800100000165ffffffff ${FOUR_BYTES} || echo "$wire_code"
      wire_complaint; wire_ask ${FOUR_BYTES} && echo "$wire_answers"; wire_close`;
    const [code, complaint, answer] = await say(shell, script);
    expect(code).toMatch(/^00000[0-9a-f]{3}$/);
    expect(complaint).toMatch(/^tpm:parameter.*range/);
    expect(answer).toMatch(/^ 0004/);
  });

  it('sends nothing that is no hex, and does not wait for an answer', async () => {
    const script = `wire_open; wire_ask 80010000017bzz || echo "no [$wire_code]"
      wire_ask ${FOUR_BYTES} && echo "$wire_answers"; wire_close`;
    expect(await say(shell, script)).toEqual(['no []', expect.stringMatching(/^ 0004/)]);
  });

  it('ends when nobody has opened its pipes', async () => {
    const script = `mkfifo ${folder}/never-$$; cat <${folder}/never-$$ & wire_process=$!; wire_close; echo closed`;
    expect(await say(shell, script)).toEqual(['closed']);
  });

  it.each(['00000922', '00000908', '0000090a', '00000920'])(
    'gives a command again that is put off with %s',
    async (code) => {
      let left = 1;
      const later = Buffer.from(`80010000000a${code}`, 'hex');
      const judge = (bytes: Buffer) => (commandCode(bytes) === GET_RANDOM && left-- > 0 ? later : 'passed');
      const tap = await tapTpm(tpm, { folder, judge });
      const script = `wire_open; wire_ask ${FOUR_BYTES} && echo "$wire_answers"; wire_close`;
      expect(await say(shell, script, tap.tcti)).toEqual([expect.stringMatching(/^ ?0004/)]);
      await tap.close();
    },
  );

  it('takes an attestation key whose coordinate begins with a zero that is left out', async () => {
    const head = '0023000b00050472000000100018000b00030010';
    const area = `${head}001f${'11'.repeat(31)}0020${'22'.repeat(32)}`;
    const name = `000b${'33'.repeat(32)}`;
    const answer = `8000000000000100${'0057'}${area}${'44'.repeat(40)}0022${name}0000010000`;
    const script = `wire_ask() { wire_answers=' ${answer}'; }
      ak_load 1; echo "$ak_public"; echo "$ak_name"`;
    expect(await say(shell, script)).toEqual([`0057${area}`, name]);
  });

  it.each([
    ['a short r', `30250220${'7f'.repeat(32)}020105`, `${'7f'.repeat(32)} ${'05'.padStart(64, '0')}`],
    [
      'a zero in front',
      `30460221009f${'01'.repeat(31)}022100aa${'02'.repeat(31)}`,
      `9f${'01'.repeat(31)} aa${'02'.repeat(31)}`,
    ],
  ])('gives the TPM whole coordinates: an approval with %s', async (_what, approval, expected) => {
    const [r, s] = expected.split(' ');
    const script = `floor_approval=${approval}; floor_take_signature && echo "$floor_signature"`;
    expect(await say(shell, script)).toEqual([`0020${r}0020${s}`]);
  });

  it.each(['30', '300602020000', `30260221${'7f'.repeat(33)}020105`, `30250220${'7f'.repeat(32)}02010500`])(
    'takes no signature from %s',
    async (approval) => {
      expect(await say(shell, `floor_approval=${approval}; floor_take_signature || echo refused`)).toEqual([
        'refused',
      ]);
    },
  );
});
