import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asciiBytes, toHex } from '../../../src/core/bytes.ts';
import { KeyOpener, type KeyOpenerOptions } from '../../../src/signing/keys/open-key.ts';
import { createPrivateKeyFor, verifySignature } from '../../../src/signing/public-key.ts';
import type { Signer } from '../../../src/signing/signer.ts';
import { PIN, SOFTHSM_MODULE, SoftHsm } from './pkcs11-softhsm.ts';

const MESSAGE = asciiBytes('{"_type":"snapshot"}');
const CKR = {
  DEVICE_REMOVED: 0x32,
  SESSION_HANDLE_INVALID: 0xb3,
  NOT_LOGGED_IN: 0x101,
  FUNCTION_FAILED: 0x6,
};

let hsm: SoftHsm;
beforeAll(async () => {
  hsm = await SoftHsm.create();
  await hsm.buildFaultyModule();
  for (const token of ['one', 'two']) {
    await hsm.createToken(token);
    const privateKey = createPrivateKeyFor('ecdsa-sha2-nistp256');
    await hsm.importKey({ token, label: 'release', id: '01', privateKey });
  }
});
afterAll(() => hsm.remove());

const opened: KeyOpener[] = [];
afterEach(async () => {
  await hsm.setFaults();
  await Promise.all(opened.splice(0).map((opener) => opener.close()));
  await hsm.forgetCalls();
});

const ONE = () => `pkcs11:token=one;object=release?module-path=${hsm.faultyModule}`;
const TWO = () => `pkcs11:token=two;object=release?module-path=${hsm.faultyModule}`;

function createOpener(options: Partial<KeyOpenerOptions> = {}, pin = PIN): KeyOpener {
  const secrets = { pinOf: async () => pin, passphraseOf: async () => '' };
  const opener = new KeyOpener({ secrets, ...options });
  opened.push(opener);
  return opener;
}

/** Which clears the token's note that a wrong one was tried. */
async function giveGoodPin(): Promise<void> {
  await createOpener({ riskPinLock: true }).open(ONE());
}

async function requireGoodSignature(signer: Signer): Promise<void> {
  expect(verifySignature(signer.key, MESSAGE, toHex(await signer.sign(MESSAGE)))).toBe(true);
}

describe('S18 a wrong PIN', () => {
  it('is tried once in the life of a process, whoever asks and by whatever reference', async () => {
    const opener = createOpener({}, '000000');
    const first = await opener.open(ONE()).catch((error: Error) => error);
    expect(first).toMatchObject({ code: 'hsm-pin-wrong' });
    const bySerial = `pkcs11:object=release;token=one?module-path=${hsm.faultyModule}&pin-source=file:/nowhere`;
    for (const reference of [ONE(), ONE(), bySerial])
      await expect(opener.open(reference)).rejects.toMatchObject({ code: 'hsm-pin-not-tried' });
    expect(await hsm.callsOf('C_Login')).toBe(1);
  });

  it('is tried once when many ask at the same time', async () => {
    const opener = createOpener({ riskPinLock: true }, '000000');
    const all = await Promise.allSettled(Array.from({ length: 6 }, () => opener.open(ONE())));
    expect(all.map(({ status }) => status)).toEqual(Array(6).fill('rejected'));
    expect(await hsm.callsOf('C_Login')).toBe(1);
  });

  it('leaves its mark on the token, which a new process does not try then, right PIN or wrong, unless told', async () => {
    await expect(createOpener().open(ONE())).rejects.toMatchObject({
      code: 'hsm-pin-not-tried',
      message: expect.stringContaining('few tries are left'),
    });
    expect(await hsm.callsOf('C_Login')).toBe(0);
    await requireGoodSignature(await createOpener({ riskPinLock: true }).open(ONE()));
    await requireGoodSignature(await createOpener().open(ONE()));
  });

  it.each([
    ['one try is left', 0x20000, 'hsm-pin-not-tried'],
    ['few tries are left', 0x10000, 'hsm-pin-not-tried'],
    ['it is locked', 0x40000, 'hsm-pin-locked'],
  ])('is not risked when the token says that %s', async (_, flags, code) => {
    await hsm.setFaults(`token flags ${flags} 0`);
    await expect(createOpener().open(ONE())).rejects.toMatchObject({ code });
    expect(await hsm.callsOf('C_Login')).toBe(0);
  });

  it('does not keep another token from being opened', async () => {
    const pins = { one: '000000', two: PIN };
    const pinOf = async ({ label }: { label: string }) => pins[label as keyof typeof pins];
    const opener = createOpener({ riskPinLock: true, secrets: { pinOf, passphraseOf: async () => '' } });
    await expect(opener.open(ONE())).rejects.toMatchObject({ code: 'hsm-pin-wrong' });
    await requireGoodSignature(await opener.open(TWO()));
    await requireGoodSignature(await createOpener({ riskPinLock: true }).open(ONE()));
  });

  it('and a right one are in no error, however deep', async () => {
    await hsm.setFaults(`C_SignInit fail ${CKR.FUNCTION_FAILED} 9`);
    const opener = createOpener();
    const signer = await opener.open(ONE());
    const signing = await signer.sign(MESSAGE).catch((error: Error) => error);
    await opener.close();
    const opening = await createOpener({}, '70605040')
      .open(ONE())
      .catch((error: Error) => error);
    for (const error of [signing, opening]) {
      expect(error).toBeInstanceOf(Error);
      expect(JSON.stringify([error, String((error as Error).stack), (error as Error).cause])).not.toMatch(
        /123456|70605040/,
      );
    }
    await giveGoodPin();
  });
});

describe('S18 a session that is lost', () => {
  it.each(Object.entries(CKR).filter(([name]) => name !== 'FUNCTION_FAILED'))(
    'is opened once more and the signature made: %s',
    async (_, code) => {
      const signer = await createOpener({ sessions: 1 }).open(ONE());
      await hsm.forgetCalls();
      await hsm.setFaults(`C_Sign fail ${code} 1`);
      await requireGoodSignature(signer);
      expect(await hsm.callsOf('C_OpenSession')).toBe(1);
      expect(await hsm.callsOf('C_Sign')).toBe(2);
    },
  );

  it('that is lost again at once is a clear error, and nothing is tried a third time', async () => {
    const signer = await createOpener({ sessions: 1 }).open(ONE());
    await hsm.forgetCalls();
    await hsm.setFaults(`C_Sign fail ${CKR.DEVICE_REMOVED} 2`);
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'hsm-gone' });
    expect(await hsm.callsOf('C_Sign')).toBe(2);
    await requireGoodSignature(signer);
  });

  it('that the token has none left for is said so', async () => {
    await hsm.setFaults(`C_OpenSession fail ${0xb1} 1`);
    await expect(createOpener().open(ONE())).rejects.toMatchObject({
      code: 'hsm-failed',
      message: expect.stringContaining('no session left'),
    });
  });

  it('is not what any other refusal is: that is not tried again', async () => {
    const signer = await createOpener({ sessions: 1 }).open(ONE());
    await hsm.forgetCalls();
    await hsm.setFaults(`C_Sign fail ${CKR.FUNCTION_FAILED} 1`);
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({
      code: 'hsm-failed',
      message: expect.stringContaining('CKR_FUNCTION_FAILED'),
    });
    expect(await hsm.callsOf('C_Sign')).toBe(1);
  });
});

describe('S18 a slow HSM', () => {
  it('is a typed error at the deadline, while the caller goes on; a late answer is thrown away', async () => {
    const signer = await createOpener({ sessions: 1, deadlineMs: 1000 }).open(ONE());
    await hsm.setFaults('C_Sign sleep 1500');
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 10);
    const signing = [signer.sign(MESSAGE), signer.sign(MESSAGE)];
    for (const result of await Promise.allSettled(signing))
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'hsm-slow' } });
    clearInterval(ticking);
    expect(ticks).toBeGreaterThan(5);
    await hsm.setFaults();
    expect(await hsm.callsOf('C_Sign')).toBe(1);
  });

  it.each(['C_OpenSession', 'C_Login', 'C_SignInit'])('is that in %s too', async (name) => {
    await hsm.setFaults(`${name} sleep 1500`);
    const opener = createOpener({ deadlineMs: 1000 });
    const signing = opener.open(ONE()).then((signer) => signer.sign(MESSAGE));
    await expect(signing).rejects.toMatchObject({ code: 'hsm-slow' });
  });

  it('takes up again when it answers again', async () => {
    const signer = await createOpener({ sessions: 1, deadlineMs: 1000 }).open(ONE());
    await hsm.setFaults('C_Sign sleep 1300');
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'hsm-slow' });
    await hsm.setFaults();
    await requireGoodSignature(signer);
  });

  it('does not take the time that a person needs for the PIN for slowness', async () => {
    const pinOf = () => new Promise<string>((resolve) => setTimeout(resolve, 1300, PIN));
    const secrets = { pinOf, passphraseOf: async () => '' };
    await requireGoodSignature(await createOpener({ secrets, deadlineMs: 1000 }).open(ONE()));
  });

  it('does not hold up another token', async () => {
    const opener = createOpener({ deadlineMs: 1000 });
    const [one, two] = [await opener.open(ONE()), await opener.open(TWO())];
    await hsm.setFaults('C_OpenSession sleep 1500');
    const slow = Promise.allSettled(Array.from({ length: 4 }, () => one.sign(MESSAGE)));
    await requireGoodSignature(two);
    await slow;
  });
});

describe('S19 a signature that is not the key’s', () => {
  it('is thrown away, and the next good one answered', async () => {
    const signer = await createOpener().open(ONE());
    await hsm.setFaults('C_Sign flip');
    await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'hsm-signature-wrong' });
    await hsm.setFaults();
    await requireGoodSignature(signer);
  });
});

it('S18 a module that went away between two starts is a clear error', async () => {
  const gone = SOFTHSM_MODULE.replace('softhsm2', 'gone');
  const opening = createOpener().open(`pkcs11:token=one;object=release?module-path=${gone}`);
  await expect(opening).rejects.toMatchObject({
    code: 'hsm-unavailable',
    message: expect.stringContaining(gone),
  });
});
