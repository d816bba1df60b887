import { join } from 'node:path';

// A repository folder, as boot-sign keeps it (docs/releases.md):
//
//   repository.json        settings: how long signatures live
//   keys/<role>.json       private keys under their passphrase, one file a role
//   keys/secure-boot/      PK, KEK and db: private keys (PEM, encrypted), certificates (PEM and DER)
//   metadata/              TUF metadata as it is served
//   artifacts/<sha256>     everything that metadata names, by hash

export interface RepositoryLayout {
  readonly folder: string;
  readonly settings: string;
  readonly keys: string;
  readonly secureBoot: string;
  readonly metadata: string;
  readonly artifacts: string;
}

export function layoutOf(folder: string): RepositoryLayout {
  return {
    folder,
    settings: join(folder, 'repository.json'),
    keys: join(folder, 'keys'),
    secureBoot: join(folder, 'keys', 'secure-boot'),
    metadata: join(folder, 'metadata'),
    artifacts: join(folder, 'artifacts'),
  };
}

export const keyFile = (layout: RepositoryLayout, role: string): string => join(layout.keys, `${role}.json`);

export const artifactFile = (layout: RepositoryLayout, sha256: string): string =>
  join(layout.artifacts, sha256);

export type SecureBootKey = 'PK' | 'KEK' | 'db';

export function secureBootFiles(layout: RepositoryLayout, name: SecureBootKey) {
  const file = (extension: string) => join(layout.secureBoot, `${name}.${extension}`);
  return { key: file('key'), certificate: file('crt'), certificateDer: file('der') };
}
