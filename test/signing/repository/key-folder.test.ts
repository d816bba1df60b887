import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { createKeyFile } from '../../../src/signing/keys/key-file.ts';
import { createFolderSigner } from '../../../src/signing/repository/key-folder.ts';
import { keyFile, layoutOf } from '../../../src/signing/repository/layout.ts';

const PASSPHRASE = 'correct horse battery staple';

it('looks for keys and asks for their passphrase once, however much is signed', async () => {
  const layout = layoutOf(mkdtempSync(join(tmpdir(), 'bootward-keys-')));
  onTestFinished(() => rmSync(layout.folder, { recursive: true }));
  mkdirSync(layout.keys);
  const path = keyFile(layout, 'stage0');
  const { keyId } = await createKeyFile({ path, passphrase: PASSPHRASE, logN: 12 });
  let asked = 0;
  const signer = createFolderSigner(layout, async () => {
    asked += 1;
    return PASSPHRASE;
  });
  const sign = () => signer.sign({ role: 'stage0', keyIds: [keyId], canonical: asciiBytes('message') });
  const first = await sign();
  expect(first).toMatchObject([{ keyId }]);
  rmSync(layout.keys, { recursive: true });
  expect(await sign()).toEqual(first);
  expect(asked).toBe(1);
});
