import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { asciiBytes, toHex } from '../../../src/core/bytes.ts';
import { openHookRsaSigner, openHookSigner } from '../../../src/signing/keys/command-hook-signer.ts';
import { createPrivateKeyFor, verifySignature } from '../../../src/signing/public-key.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

const MESSAGE = asciiBytes('[all]\nBOOT_UART=1\n');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const P256 = createPrivateKeyFor('ecdsa-sha2-nistp256');

/** What rpi-eeprom-digest -H calls: `HOOK -a rsa2048-sha256 FILE`. */
const OPENSSL =
  'openssl dgst -sha256 -sign "$(dirname "$0")/private.pem" "$3" | od -An -v -tx1 | tr -d " \\n"';

async function createHook(input: { script: string; key: KeyObject; mode?: number }): Promise<string> {
  const folder = await temporaryFolder();
  const program = join(folder, 'hook');
  const { script, key, mode = 0o700 } = input;
  await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  await chmod(program, mode);
  await writeFile(join(folder, 'private.pem'), key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(`${program}.pem`, createPublicKey(key).export({ type: 'spki', format: 'pem' }));
  return program;
}

const open = async (script: string, limits?: { deadlineMs: number; maxOutputBytes: number }) =>
  openHookRsaSigner({ program: await createHook({ script, key: rsa }), ...(limits && { limits }) });

let before: number;
const leftovers = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('bootward-hook-')).length;
beforeAll(async () => {
  before = await leftovers();
});

describe('a program that signs', () => {
  it('is called as rpi-eeprom-digest -H calls it, with the message itself in a file', async () => {
    const signer = await open(`[ "$1 $2" = "-a rsa2048-sha256" ] && [ $# = 3 ] || exit 9\n${OPENSSL}`);
    const signature = await signer.sign(MESSAGE);
    expect(verify('sha256', MESSAGE, signer.publicKey, signature)).toBe(true);
    expect(await leftovers()).toBe(before);
  });

  it('signs metadata by the scheme of its key', async () => {
    const script = `[ "$2" = ecdsa-sha2-nistp256 ] || exit 9\n${OPENSSL}`;
    const signer = await openHookSigner({ program: await createHook({ script, key: P256 }) });
    expect(verifySignature(signer.key, MESSAGE, toHex(await signer.sign(MESSAGE)))).toBe(true);
  });

  it('may write hex in capitals, and a line break', async () => {
    const signer = await open(`${OPENSSL} | tr a-f A-F; echo`);
    expect(await signer.sign(MESSAGE)).toHaveLength(256);
  });

  it('runs once at a time, for each of those who wait', async () => {
    const lock = '$(dirname "$0")/lock';
    const signer = await open(`mkdir "${lock}" || exit 7\n${OPENSSL}\nrmdir "${lock}"`);
    const all = await Promise.allSettled([1, 2, 3].map(() => signer.sign(MESSAGE)));
    expect(all.map(({ status }) => status)).toEqual(Array(3).fill('fulfilled'));
  });

  it('gets nothing of our environment, no input, and no descriptor of ours', async () => {
    process.env.BOOTWARD_TEST_SECRET = 'secret';
    const signer = await open(
      `[ -z "$BOOTWARD_TEST_SECRET" ] || exit 5
       [ -z "$(cat)" ] || exit 6
       [ "$(env | cut -d= -f1 | grep -v -x -e PWD -e OLDPWD -e _ -e SHLVL | sort | tr '\\n' ' ')" = "LC_ALL PATH " ] || exit 7
       ${OPENSSL}`,
    );
    const signing = signer.sign(MESSAGE);
    delete process.env.BOOTWARD_TEST_SECRET;
    expect(await signing).toHaveLength(256);
  });
});

describe('what a program answers is refused', () => {
  it.each([
    ['S19 when it is a signature over something else', OPENSSL.replace('"$3"', '"$0"'), 'hook-answer-wrong'],
    ['S19 when it is by another key', 'echo 00ff', 'hook-answer-wrong'],
    ['when it is no hex', 'echo "it works"', 'hook-answer-wrong'],
    ['when it is nothing', 'exit 0', 'hook-answer-wrong'],
    ['when it has an odd digit', `${OPENSSL}; echo 1`, 'hook-answer-wrong'],
    [
      'when more comes than a signature has',
      'while :; do echo 00112233445566778899; done',
      'hook-answer-wrong',
    ],
    ['when it failed, however good what it wrote', `${OPENSSL}\nexit 1`, 'hook-failed'],
    ['when it was killed', 'kill -9 $$', 'hook-failed'],
  ])('%s', async (_, script, code) => {
    const signer = await open(script);
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code });
    expect(await leftovers()).toBe(before);
  });

  it('with what it said on standard error, made printable and short', async () => {
    const signer = await open(`printf 'no\\033[31m card\\n' >&2; head -c 9999 /dev/zero >&2; exit 3`);
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({
      message: expect.stringMatching(/^.{0,200} failed \(3\): no \[31m card;/),
    });
  });

  it('S18 when it is slow: it and what it started are killed at the deadline', async () => {
    const pidFile = '"$(dirname "$0")/child"';
    const script = `sleep 60 & echo $! >${pidFile}\nwait`;
    const program = await createHook({ script, key: rsa });
    const signer = await openHookRsaSigner({ program, limits: { deadlineMs: 700, maxOutputBytes: 4096 } });
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'hook-slow' });
    const child = Number(await readFile(join(program, '..', 'child'), 'utf8'));
    for (let tries = 0; tries < 100 && isRunning(child); tries += 1) await sleep(20);
    expect(isRunning(child)).toBe(false);
  });
});

describe('a program is not run', () => {
  it('that is not there, is a folder or cannot be executed', async () => {
    const plain = await createHook({ script: OPENSSL, key: rsa, mode: 0o600 });
    const signer = await openHookRsaSigner({ program: plain });
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'hook-unusable' });
    await expect(openHookSigner({ program: '/nowhere' })).rejects.toMatchObject({ code: 'hook-unusable' });
  });

  it.each([0o722, 0o770, 0o702])('that others can replace: mode %o', async (mode) => {
    const signer = await openHookRsaSigner({
      program: await createHook({ script: OPENSSL, key: rsa, mode }),
    });
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({
      code: 'hook-unusable',
      message: expect.stringContaining('replace'),
    });
  });

  it('without its public key, or with the private one beside it', async () => {
    const program = await createHook({ script: OPENSSL, key: rsa });
    await writeFile(`${program}.pem`, rsa.export({ type: 'pkcs8', format: 'pem' }));
    await expect(openHookRsaSigner({ program })).rejects.toMatchObject({ code: 'hook-unusable' });
    await expect(openHookSigner({ program: `${program}.pem` })).rejects.toMatchObject({
      code: 'hook-unusable',
    });
  });

  it('for metadata with RSA-2048, nor for boot.sig with P-256', async () => {
    const [two, ec] = await Promise.all([rsa, P256].map((key) => createHook({ script: OPENSSL, key })));
    await expect(openHookSigner({ program: two ?? '' })).rejects.toMatchObject({ code: 'key-invalid' });
    await expect(openHookRsaSigner({ program: ec ?? '' })).rejects.toMatchObject({
      code: 'rsa-key-unsuitable',
    });
  });
});

/** A zombie that nobody waits for any more does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
