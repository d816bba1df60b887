import { readdir } from 'node:fs/promises';
import { isErrno } from '../../core/errno.ts';
import { loadKeyFile, openKeyFile } from '../keys/key-file.ts';
import { createKeyRoleSigner, type RoleSigner } from '../role-signer.ts';
import type { Signer } from '../signer.ts';
import { keyFile, type RepositoryLayout } from './layout.ts';

const NAME = /^([a-z0-9-]{1,80})\.json$/;

/** A private key file's public half. */
export interface StoredKey {
  readonly name: string;
  readonly keyId: string;
}

/** What keys a folder holds; no passphrase needed. */
export async function listKeyFiles(layout: RepositoryLayout): Promise<readonly StoredKey[]> {
  const files = await readdir(layout.keys).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
  const names = files.flatMap((file) => NAME.exec(file)?.[1] ?? []).sort();
  return Promise.all(
    names.map(async (name) => ({ name, keyId: (await loadKeyFile(keyFile(layout, name))).keyId })),
  );
}

/** Opens the keys that a file needs, each once, and asks for the passphrase only then. Looks for them once. */
export function createFolderSigner(
  layout: RepositoryLayout,
  readPassphrase: () => Promise<string>,
): RoleSigner {
  let listed: Promise<readonly StoredKey[]> | undefined;
  const opened = new Map<string, Promise<Signer>>();
  const open = ({ name, keyId }: StoredKey): Promise<Signer> => {
    const before = opened.get(keyId);
    if (before !== undefined) return before;
    const opening = readPassphrase().then((passphrase) => openKeyFile(keyFile(layout, name), passphrase));
    opened.set(keyId, opening);
    return opening;
  };
  return {
    async sign(request) {
      listed ??= listKeyFiles(layout);
      const wanted = (await listed).filter(({ keyId }) => request.keyIds.includes(keyId));
      const signers = [];
      for (const key of wanted) signers.push(await open(key));
      return createKeyRoleSigner(signers).sign(request);
    },
  };
}
