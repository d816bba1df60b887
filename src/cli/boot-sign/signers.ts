import { createFolderSigner } from '../../signing/repository/key-folder.ts';
import type { RepositoryLayout } from '../../signing/repository/layout.ts';
import type { RoleSignature, RoleSigner } from '../../signing/role-signer.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';

/** The keys that a command may sign with, and the passphrase of the folder's: asked for once, when needed. */
export interface KeysAtHand {
  readonly signer: RoleSigner;
  readPassphrase(): Promise<string>;
}

export function keysAtHand(layout: RepositoryLayout, options: PassphraseOptions): KeysAtHand {
  const passphrase = once(() => readPassphrase(options));
  return { signer: createFolderSigner(layout, passphrase), readPassphrase: passphrase };
}

/** Asks each in turn for what is still open, so that no key signs twice. */
export function combineSigners(signers: readonly RoleSigner[]): RoleSigner {
  return {
    async sign(request) {
      const signatures: RoleSignature[] = [];
      for (const signer of signers) {
        const done = new Set(signatures.map(({ keyId }) => keyId));
        const keyIds = request.keyIds.filter((keyId) => !done.has(keyId));
        if (keyIds.length > 0) signatures.push(...(await signer.sign({ ...request, keyIds })));
      }
      return signatures;
    },
  };
}

export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
