import type { TufKey } from '../../signing/public-key.ts';
import { loadPublicKeys } from './public-keys.ts';
import { UsageError } from './usage-error.ts';

/** The boot server's public grant keys from a file: Ed25519, as it signs challenges and grants. */
export async function loadGrantKeys(path: string): Promise<readonly TufKey[]> {
  const keys = await loadPublicKeys(path);
  if (keys.every(({ scheme }) => scheme === 'ed25519')) return keys;
  throw new UsageError(`${path} holds a key that is not Ed25519: a boot server's grant key always is`);
}
