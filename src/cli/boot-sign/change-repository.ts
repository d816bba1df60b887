import type { RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { createFolderSigner } from '../../signing/repository/key-folder.ts';
import { layoutOf, secureBootFiles } from '../../signing/repository/layout.ts';
import { withRepositoryLock } from '../../signing/repository/repository-lock.ts';
import { createKeyRoleSigner, type RoleSignature, type RoleSigner } from '../../signing/role-signer.ts';
import type { Signer } from '../../signing/signer.ts';
import { type LastSigned, parseLastSigned } from '../../signing/tuf/last-signed.ts';
import { type FloorKey, findFloorKey } from './floor-key.ts';
import { type KeyAccessOptions, withKeyOpener } from './key-access.ts';
import { addressOf, type ServiceOptions } from './service-options.ts';
import { ApprovalPending, createSigningServiceSigner, getServiceKeys } from './signing-service-client.ts';

/** Whoever signs changes of a repository: keys in its folder, keys elsewhere, a signing service. */
export interface SignerOptions extends KeyAccessOptions, ServiceOptions {
  readonly signWith?: readonly string[];
  /** The Secure Boot db key, when it is not in the folder. */
  readonly dbKey?: string;
  /** The floor key, when it is not in the folder. */
  readonly floorKey?: string;
}

export interface KeysAtHand {
  readonly signer: RoleSigner;
  /** Sentences: what a signing service will sign when people have approved it. */
  readonly waiting: readonly string[];
  /** What a signing service has signed last; nothing without one. */
  lastSigned(): Promise<LastSigned>;
  /** The Secure Boot db key. */
  openDbKey(): Promise<RsaPkcs1Signer>;
  /** Undefined when there is none: then a stage-0 keeps no floor. */
  findFloorKey(): Promise<FloorKey | undefined>;
}

/** What a command that changes a repository works on. */
export interface RepositoryWork<Options extends SignerOptions> {
  readonly folder: string;
  readonly options: Options;
  readonly keys: KeysAtHand;
}

/** Takes the folder's lock, and lends the keys at hand until the work is done. */
export function changeRepository<Options extends SignerOptions, T>(
  folder: string,
  options: Options,
  work: (on: RepositoryWork<Options>) => Promise<T>,
): Promise<T> {
  const layout = layoutOf(folder);
  return withRepositoryLock(layout, () =>
    withKeyOpener(options, async ({ open, openRsa, readPassphrase }) => {
      const waiting: string[] = [];
      const signers = [
        createFolderSigner(layout, readPassphrase),
        ...(options.signWith ?? []).map((key) => createLateSigner(() => open(key))),
        ...(await serviceSigners(options, waiting)),
      ];
      const openDbKey = () => openRsa(options.dbKey ?? secureBootFiles(layout, 'db').key);
      const keys: KeysAtHand = {
        signer: combineSigners(signers),
        waiting,
        lastSigned: () => lastSignedBy(options),
        openDbKey,
        findFloorKey: () => findFloorKey(layout, { named: options.floorKey, open }),
      };
      return work({ folder, options, keys });
    }),
  );
}

/** A key that is opened when it is first asked, so that no PIN is wanted for nothing. */
function createLateSigner(open: () => Promise<Signer>): RoleSigner {
  let opened: Promise<Signer> | undefined;
  return {
    async sign(request) {
      opened ??= open();
      return createKeyRoleSigner([await opened]).sign(request);
    },
  };
}

async function serviceSigners(options: SignerOptions, waiting: string[]): Promise<readonly RoleSigner[]> {
  if (options.service === undefined) return [];
  const service = createSigningServiceSigner(await addressOf(options));
  return [
    {
      async sign(request) {
        try {
          return await service.sign(request);
        } catch (cause) {
          if (!(cause instanceof ApprovalPending)) throw cause;
          waiting.push(cause.message);
          return [];
        }
      },
    },
  ];
}

async function lastSignedBy(options: SignerOptions): Promise<LastSigned> {
  if (options.service === undefined) return new Map();
  const { lastSigned } = await getServiceKeys(await addressOf(options));
  return parseLastSigned(lastSigned);
}

/** Asks each in turn for what is still open, so that no key signs twice. */
function combineSigners(signers: readonly RoleSigner[]): RoleSigner {
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
