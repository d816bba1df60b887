import { openKeyFile } from '../keys/key-file.ts';
import { channelRole, STAGE0_ROLE } from '../names.ts';
import type { Signer } from '../signer.ts';
import type { OnlineSigners, RepositorySigners } from '../tuf/write-repository.ts';
import { keyFile, type RepositoryLayout } from './layout.ts';

/** Opens key files by role, each once; no more of them than a command needs. */
export interface KeyOpener {
  open(role: string): Promise<readonly Signer[]>;
}

export function createKeyOpener(layout: RepositoryLayout, passphrase: string): KeyOpener {
  return { open: async (role) => [await openKeyFile(keyFile(layout, role), passphrase)] };
}

export async function openOnlineSigners(keys: KeyOpener): Promise<OnlineSigners> {
  return { snapshot: await keys.open('snapshot'), timestamp: await keys.open('timestamp') };
}

export async function openAllSigners(
  keys: KeyOpener,
  channelNames: readonly string[],
): Promise<RepositorySigners> {
  const channels = new Map<string, readonly Signer[]>();
  for (const channel of channelNames) channels.set(channel, await keys.open(channelRole(channel)));
  return {
    root: await keys.open('root'),
    targets: await keys.open('targets'),
    stage0: await keys.open(STAGE0_ROLE),
    channels,
    ...(await openOnlineSigners(keys)),
  };
}
