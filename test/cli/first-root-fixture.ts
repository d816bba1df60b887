import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { type Run, SigningDesk } from './boot-sign-fixture.ts';

export const PEOPLE = ['alice', 'bob', 'carol', 'dave', 'erin'] as const;
const KEYS = [...PEOPLE, 'dave/stage0', 'erin/release', 'service/online', 'mallory'];

/** Root and targets by people; by a service what must be signed every day. */
export const ROLES: Readonly<Record<string, readonly string[]>> = {
  root: PEOPLE,
  targets: PEOPLE,
  snapshot: ['service/online'],
  timestamp: ['service/online'],
  stage0: ['dave/stage0'],
  'channel-demo': ['erin/release'],
};
export const THRESHOLDS = ['--threshold', 'root=3', '--threshold', 'targets=3'];

/** Five people's machines, a service's, and a composer's that has public keys alone: each is a folder. */
export class FirstRootDesk extends SigningDesk {
  readonly composer = this.path('composer');
  readonly signing = join(this.composer, 'signing');
  readonly proposal = join(this.signing, 'pending', 'root-1.json');

  static async create(): Promise<FirstRootDesk> {
    const desk = new FirstRootDesk();
    mkdirSync(desk.composer);
    for (const key of KEYS) {
      const file = desk.privateFile(key);
      mkdirSync(dirname(file), { recursive: true });
      const scheme = ['--scheme', key === 'bob' ? 'ecdsa-sha2-nistp256' : 'ed25519'];
      const made = await desk.run('new-key', file, ...scheme, '--key-cost', '12', ...desk.secret());
      expect(made).toMatchObject({ status: 0 });
      copyFileSync(file.replace('.json', '.pub.json'), desk.publicFile(key));
    }
    return desk;
  }

  secret(): string[] {
    return ['--passphrase-file', this.path('passphrase')];
  }

  privateFile(key: string): string {
    return this.path(key.includes('/') ? `${key}.json` : `${key}/${key}.json`);
  }

  /** On the composer's machine. */
  publicFile(key: string): string {
    return join(this.composer, `${key.replace('/', '-')}.pub.json`);
  }

  async keyIdOf(key: string): Promise<string> {
    return JSON.parse((await this.run('inspect', this.publicFile(key), '-o', 'json')).stdout).keys[0].keyId;
  }

  keyOptions(roles = ROLES): string[] {
    return Object.entries(roles).flatMap(([role, keys]) =>
      keys.flatMap((key) => ['--key', `${role}=${this.publicFile(key)}`]),
    );
  }

  rootInit(...options: string[]): Promise<Run> {
    return this.run('root', 'init', this.signing, '--grant-key', this.path('grant.pem'), ...options);
  }

  propose(): Promise<Run> {
    return this.rootInit(...this.keyOptions(), ...THRESHOLDS);
  }

  /** The file goes to a person, who signs it at home and sends it back. */
  async signedBy(person: (typeof PEOPLE)[number], ...more: string[]): Promise<string> {
    const atHome = this.path(`${person}/root-1.json`);
    copyFileSync(this.proposal, atHome);
    const keys = [person, ...more].flatMap((key) => ['--key', this.privateFile(key)]);
    const signed = await this.run('sign', atHome, '--new-repository', ...keys, ...this.secret());
    expect(signed).toMatchObject({ status: 0, stderr: '' });
    const back = join(this.composer, `from-${person}.json`);
    copyFileSync(atHome, back);
    return back;
  }

  merge(folder: string, files: readonly string[], ...options: string[]): Promise<Run> {
    const from = files.flatMap((file) => ['--from', file]);
    return this.run('merge', folder, '--name', 'root-1', ...from, ...options);
  }
}

export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
