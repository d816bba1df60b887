import { join } from 'node:path';

// A repository folder, as boot-sign keeps it (docs/releases.md):
//
//   repository.json        settings: how long signatures live
//   keys/<name>.json       private keys under their passphrase
//   keys/floor.json         the same of the floor key, which signs no metadata
//   keys/secure-boot/      PK, KEK and db: private keys (PEM, encrypted), certificates (PEM and DER)
//   metadata/              TUF metadata as it is served
//   pending/<name>.json    proposals that are not signed by enough people yet
//   .change.json           a change that is being written to metadata/: there during that time, or after a crash
//   artifacts/<sha256>     everything that metadata names, by hash

export interface RepositoryLayout {
  readonly folder: string;
  readonly settings: string;
  readonly keys: string;
  readonly secureBoot: string;
  readonly metadata: string;
  readonly pending: string;
  readonly journal: string;
  readonly artifacts: string;
}

export function layoutOf(folder: string): RepositoryLayout {
  return {
    folder,
    settings: join(folder, 'repository.json'),
    keys: join(folder, 'keys'),
    secureBoot: join(folder, 'keys', 'secure-boot'),
    metadata: join(folder, 'metadata'),
    pending: join(folder, 'pending'),
    journal: join(folder, '.change.json'),
    artifacts: join(folder, 'artifacts'),
  };
}

/** Its name among the keys. */
export const FLOOR_KEY = 'floor';

export const keyFile = (layout: RepositoryLayout, name: string): string => join(layout.keys, `${name}.json`);

export const pendingFile = (layout: RepositoryLayout, name: string): string =>
  join(layout.pending, `${name}.json`);

/** Names the proposal that makes a repository, while people in different places sign it. */
export const FIRST_PROPOSAL = 'root-1';

export const artifactFile = (layout: RepositoryLayout, sha256: string): string =>
  join(layout.artifacts, sha256);

export type SecureBootKey = 'PK' | 'KEK' | 'db';

export function secureBootFiles(layout: RepositoryLayout, name: SecureBootKey) {
  const file = (extension: string) => join(layout.secureBoot, `${name}.${extension}`);
  return { key: file('key'), certificate: file('crt'), certificateDer: file('der') };
}
