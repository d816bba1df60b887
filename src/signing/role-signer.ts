import { toHex } from '../core/bytes.ts';
import type { Signer } from './signer.ts';

/** Over the canonical form of a metadata file's "signed" part. */
export interface RoleSignature {
  readonly keyId: string;
  /** Hex, in the encoding of the key's scheme. */
  readonly signature: string;
}

/**
 * Whoever can sign metadata: keys at hand, or a signing service that reads what it is asked to sign. What
 * it has no key for it answers with nothing; what it will not sign it refuses by an error.
 */
export interface RoleSigner {
  sign(request: {
    /** `root`, `targets`, `snapshot`, `timestamp`, `stage0`, `channel-<name>` */
    role: string;
    /** Ids of the keys that may sign this file and have not yet: the role's, for a root its predecessor's too. */
    keyIds: readonly string[];
    canonical: Uint8Array;
  }): Promise<readonly RoleSignature[]>;
}

/** Keys that are open in this process. */
export function createKeyRoleSigner(signers: readonly Signer[]): RoleSigner {
  return {
    async sign({ keyIds, canonical }) {
      const wanted = signers.filter(({ keyId }) => keyIds.includes(keyId));
      return Promise.all(
        wanted.map(async ({ keyId, sign }) => ({ keyId, signature: toHex(await sign(canonical)) })),
      );
    },
  };
}
