import { afterAll, beforeAll, expect, it } from 'vitest';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { KeyOpener } from '../../../src/signing/keys/open-key.ts';
import { createPrivateKeyFor } from '../../../src/signing/public-key.ts';
import { PIN, SOFTHSM_MODULE, SoftHsm } from './pkcs11-softhsm.ts';

// A file of its own: SoftHSM looks for tokens when a process first uses it, and finds none again afterwards.

const REFERENCE = `pkcs11:token=pulled;object=release?module-path=${SOFTHSM_MODULE}`;

let hsm: SoftHsm;
beforeAll(async () => {
  hsm = await SoftHsm.create();
  await hsm.createToken('pulled');
  const privateKey = createPrivateKeyFor('ed25519');
  await hsm.importKey({ token: 'pulled', label: 'release', id: '01', privateKey });
});
afterAll(() => hsm.remove());

it('S18 an HSM that is pulled out while it is used is a clear error each time, and nothing is signed', async () => {
  const secrets = { pinOf: async () => PIN, passphraseOf: async () => '' };
  const opener = new KeyOpener({ secrets, sessions: 2 });
  const signer = await opener.open(REFERENCE);
  const message = asciiBytes('x');
  await Promise.all(Array.from({ length: 8 }, () => signer.sign(message)));

  await hsm.pullTokens();
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => signer.sign(message)));
  for (const result of results)
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'hsm-gone' } });
  await opener.close();
});
