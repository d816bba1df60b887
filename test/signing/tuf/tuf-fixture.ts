import { createPrivateKey } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, concatBytes, fromHex, sha256, toHex } from '../../../src/core/bytes.ts';
import { referenceOf } from '../../../src/signing/artifact.ts';
import {
  encodeReleaseManifest,
  type ReleaseListing,
  type ReleaseManifest,
} from '../../../src/signing/manifest.ts';
import { releaseTarget, stage0Target } from '../../../src/signing/names.ts';
import { createKeySigner, type Signer } from '../../../src/signing/signer.ts';
import { verifyMetadata } from '../../../src/signing/tuf/verify-metadata.ts';
import { addRelease, addStage0Build, createRepository, type RepositoryChange } from './write-with-keys.ts';

export const NOW_MS = Date.parse('2026-11-21T00:00:00Z');
export const DAY_MS = 86_400_000;
export const EXPIRY = { offlineMs: NOW_MS + 365 * DAY_MS, onlineMs: NOW_MS + 30 * DAY_MS };

/** Different names, different keys; the same name always gives the same key. */
export function testSigner(name: string): Signer {
  const prefix = fromHex('302e020100300506032b657004220420');
  const der = concatBytes(prefix, sha256(asciiBytes(`test key ${name}`)));
  return createKeySigner(createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' }));
}

export const SIGNERS = {
  root: [testSigner('root')],
  targets: [testSigner('targets')],
  snapshot: [testSigner('snapshot')],
  timestamp: [testSigner('timestamp')],
  stage0: [testSigner('stage0')],
  channels: new Map([
    ['demo', [testSigner('demo')]],
    ['pi-stable', [testSigner('pi-stable')]],
  ]),
};

export const GRANT_KEY = testSigner('grant').key;

export const MANIFEST: ReleaseManifest = {
  channel: 'demo',
  version: 1,
  name: 'demo release 1',
  architecture: 'x86-64',
  handover: 'kexec',
  cmdline: 'console=ttyS0 quiet',
  kernel: referenceOf(asciiBytes('kernel 1')),
  initramfs: referenceOf(asciiBytes('initramfs 1')),
  attachments: new Map(),
};

export function listingOf(manifest: ReleaseManifest): ReleaseListing {
  const { channel, version, architecture, name } = manifest;
  const target = releaseTarget(channel, version);
  return { channel, version, architecture, name, target, ...referenceOf(encodeReleaseManifest(manifest)) };
}

export const STAGE0 = {
  build: 7,
  architecture: 'x86-64',
  target: stage0Target('x86-64', 7),
  ...referenceOf(asciiBytes('stage-0 image')),
  authenticodeSha256: 'aa'.repeat(32),
  pcr11: 'bb'.repeat(32),
} as const;

type Json = Record<string, unknown>;
/** Any part of a metadata document, for a test to flip. */
// biome-ignore lint/suspicious/noExplicitAny: tests reach into documents of every role
export type Flippable = any;

/** A repository in memory: one release on channel demo, one stage-0 build, all keys at hand. */
export class TestRepository {
  readonly files = new Map<string, Uint8Array>();

  static async create(): Promise<TestRepository> {
    const repository = new TestRepository();
    repository.apply(await createRepository({ signers: SIGNERS, grantKeys: [GRANT_KEY], expiry: EXPIRY }));
    const channel = SIGNERS.channels.get('demo') ?? [];
    const release = { release: listingOf(MANIFEST), signers: { ...SIGNERS, channel }, expiry: EXPIRY };
    repository.apply(await addRelease({ current: repository.verified(), ...release }));
    const build = { build: STAGE0, signers: SIGNERS, expiry: EXPIRY };
    repository.apply(await addStage0Build({ current: repository.verified(), ...build }));
    return repository;
  }

  get trustedRoot(): Uint8Array {
    return this.bytes('1.root.json');
  }

  verified() {
    return verifyMetadata({ trustedRoot: this.trustedRoot, files: this.files, nowMs: NOW_MS });
  }

  apply(change: RepositoryChange): void {
    for (const { name, bytes } of change) this.files.set(name, bytes);
  }

  bytes(name: string): Uint8Array {
    const bytes = this.files.get(name);
    if (bytes === undefined) throw new Error(`no ${name} in the test repository`);
    return bytes;
  }

  document(name: string): Flippable {
    return JSON.parse(Buffer.from(this.bytes(name)).toString());
  }

  /** The file that is in force for a role. */
  fileOf(role: string): string {
    if (role === 'timestamp') return 'timestamp.json';
    if (role === 'root')
      return [...this.files.keys()].filter((name) => name.endsWith('.root.json')).at(-1) ?? '';
    if (role === 'snapshot')
      return `${this.document('timestamp.json').signed.meta['snapshot.json'].version}.snapshot.json`;
    const { meta } = this.document(this.fileOf('snapshot')).signed;
    return `${meta[`${role}.json`].version}.${role}.json`;
  }

  /** Changes one role's signed part and signs it properly again, so that nothing else is wrong. */
  async flip(role: string, change: (signed: Flippable) => void, signers = signersOf(role)): Promise<void> {
    const { signed } = this.document(this.fileOf(role));
    change(signed);
    await this.replace(role, await signDocument(JSON.parse(JSON.stringify(signed)), signers));
  }

  /** Puts these bytes in the role's place; what points at them follows. */
  async replace(role: string, bytes: Uint8Array): Promise<void> {
    this.files.set(this.fileOf(role), bytes);
    await this.relink(role);
  }

  private async relink(role: string): Promise<void> {
    if (role === 'root' || role === 'timestamp') return;
    const { sha256: hash, length } = referenceOf(this.bytes(this.fileOf(role)));
    const parent = role === 'snapshot' ? 'timestamp' : 'snapshot';
    await this.flip(parent, ({ meta }) =>
      Object.assign(meta[`${role}.json`], { length, hashes: { sha256: hash } }),
    );
  }
}

export function signersOf(role: string): readonly Signer[] {
  if (role.startsWith('channel-')) return SIGNERS.channels.get(role.slice(8)) ?? [];
  return SIGNERS[role as 'root' | 'targets' | 'snapshot' | 'timestamp' | 'stage0'];
}

/** Signs whatever it is given: a test may break what the product refuses to write. */
export async function signDocument(signed: Json, signers: readonly Signer[]): Promise<Uint8Array> {
  const canonical = asciiBytes(canonicalize(signed));
  const signatures = [];
  for (const signer of signers)
    signatures.push({ keyid: signer.keyId, sig: toHex(await signer.sign(canonical)) });
  return Buffer.from(JSON.stringify({ signatures, signed }));
}
