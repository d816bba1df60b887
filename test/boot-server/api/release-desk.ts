import { toHex } from '../../../src/core/bytes.ts';
import { referenceOf } from '../../../src/signing/artifact.ts';
import { composeStage0 } from '../../../src/signing/efi/stage0-image.ts';
import {
  encodeReleaseManifest,
  type ReleaseListing,
  type ReleaseManifest,
} from '../../../src/signing/manifest.ts';
import { channelRole, releaseTarget, stage0Target } from '../../../src/signing/names.ts';
import type { TufKey } from '../../../src/signing/public-key.ts';
import type { Signer } from '../../../src/signing/signer.ts';
import type { Stage0Listing } from '../../../src/signing/tuf/listings.ts';
import { type TrustedMetadata, verifyMetadata } from '../../../src/signing/tuf/verify-metadata.ts';
import { buildTinyPe } from '../../signing/efi/tiny-pe.ts';
import { type Flippable, signDocument, testSigner } from '../../signing/tuf/tuf-fixture.ts';
import {
  addRelease,
  addStage0Build,
  createRepository,
  type Expiry,
  type RepositoryChange,
} from '../../signing/tuf/write-with-keys.ts';

export const CHANNEL = 'demo';
export const OTHER_CHANNEL = 'pi-stable';
const DAY_MS = 86_400_000;

export interface SignedRelease {
  listing: ReleaseListing;
  manifest: Uint8Array;
  kernel: Uint8Array;
  initramfs: Uint8Array;
}

export interface SignedStage0 {
  listing: Stage0Listing;
  image: Uint8Array;
}

/** Release and stage-0 keys with a repository in memory: what `boot-sign` has in its folder. */
export class ReleaseDesk {
  readonly files = new Map<string, Uint8Array>();
  readonly artifacts = new Map<string, Uint8Array>();
  private readonly signers: ReturnType<typeof signersOf>;
  private readonly nowMs: number;
  private readonly expiry: Expiry;

  private constructor({ nowMs, keys }: { nowMs: number; keys: string }) {
    const now = nowMs - (nowMs % 1000);
    this.nowMs = nowMs;
    this.expiry = { offlineMs: now + 365 * DAY_MS, onlineMs: now + 30 * DAY_MS };
    this.signers = signersOf(keys);
  }

  /** @param on.keys another word makes other keys: a repository of somebody else */
  static async open(on: {
    nowMs: number;
    grantKeys: readonly TufKey[];
    keys?: string;
  }): Promise<ReleaseDesk> {
    const desk = new ReleaseDesk({ nowMs: on.nowMs, keys: on.keys ?? 'ours' });
    desk.apply(
      await createRepository({ signers: desk.signers, grantKeys: on.grantKeys, expiry: desk.expiry }),
    );
    return desk;
  }

  /** A copy as it is now: one repository, two futures. */
  snapshot(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.files);
  }

  restore(files: ReadonlyMap<string, Uint8Array>): void {
    this.files.clear();
    for (const [name, bytes] of files) this.files.set(name, bytes);
  }

  /** What must be sent: the roots, and the files in force. */
  filesInForce(): ReadonlyMap<string, Uint8Array> {
    const roles = [
      'timestamp',
      'snapshot',
      'targets',
      'stage0',
      channelRole(CHANNEL),
      channelRole(OTHER_CHANNEL),
    ];
    const names = new Set(roles.map((role) => this.fileOf(role)));
    return new Map([...this.files].filter(([name]) => names.has(name) || name.endsWith('.root.json')));
  }

  async addStage0(build: number, listed: Partial<Stage0Listing> = {}): Promise<SignedStage0> {
    const signed = composeBuild(build);
    const listing = { ...signed.listing, ...listed };
    const { expiry, signers } = this;
    this.apply(await addStage0Build({ current: this.current(), build: listing, signers, expiry }));
    this.keep(signed.image);
    return { ...signed, listing };
  }

  async addRelease(
    version: number,
    { channel = CHANNEL, size = 3000 }: { channel?: string; size?: number } = {},
  ): Promise<SignedRelease> {
    const release = composeRelease(version, channel, size);
    const signers = { ...this.signers, channel: this.signers.channels.get(channel) ?? [] };
    const { expiry } = this;
    this.apply(await addRelease({ current: this.current(), release: release.listing, signers, expiry }));
    for (const bytes of [release.manifest, release.kernel, release.initramfs]) this.keep(bytes);
    return release;
  }

  /** The next version of the role without this target. */
  withdraw(role: string, target: string): Promise<void> {
    return this.reissue(role, (signed) => delete signed.targets[target]);
  }

  /** The role's next version, changed, signed by its keys; snapshot and timestamp follow. */
  async reissue(role: string, change: (signed: Flippable) => void): Promise<void> {
    const { signed } = this.document(this.fileOf(role));
    change(signed);
    signed.version += 1;
    const bytes = await signDocument(signed, this.signersOf(role));
    this.files.set(role === 'timestamp' ? 'timestamp.json' : `${signed.version}.${role}.json`, bytes);
    if (role === 'timestamp' || role === 'root') return;
    const { sha256, length } = referenceOf(bytes);
    await this.reissue(role === 'snapshot' ? 'timestamp' : 'snapshot', ({ meta }) => {
      meta[`${role}.json`] = { version: signed.version, length, hashes: { sha256 } };
    });
  }

  /** The role's file once more under the same version, with other bytes, signed by its keys. */
  async equivocate(role: 'timestamp', change: (signed: Flippable) => void): Promise<void> {
    const { signed } = this.document(this.fileOf(role));
    change(signed);
    this.files.set(this.fileOf(role), await signDocument(signed, this.signersOf(role)));
  }

  document(name: string): Flippable {
    const bytes = this.files.get(name);
    if (bytes === undefined) throw new Error(`no ${name} on the desk`);
    return JSON.parse(Buffer.from(bytes).toString());
  }

  keep(bytes: Uint8Array): void {
    this.artifacts.set(referenceOf(bytes).sha256, bytes);
  }

  private current(): TrustedMetadata {
    const trustedRoot = this.files.get('1.root.json') ?? new Uint8Array();
    return verifyMetadata({ trustedRoot, files: this.files, nowMs: this.nowMs });
  }

  private apply(change: RepositoryChange): void {
    for (const { name, bytes } of change) this.files.set(name, bytes);
  }

  private fileOf(role: string): string {
    if (role === 'timestamp') return 'timestamp.json';
    if (role === 'root')
      return `${[...this.files.keys()].filter((name) => name.endsWith('.root.json')).length}.root.json`;
    const timestamp = this.document('timestamp.json').signed.meta;
    const snapshot = `${timestamp['snapshot.json'].version}.snapshot.json`;
    if (role === 'snapshot') return snapshot;
    return `${this.document(snapshot).signed.meta[`${role}.json`].version}.${role}.json`;
  }

  private signersOf(role: string): readonly Signer[] {
    if (role.startsWith('channel-')) return this.signers.channels.get(role.slice('channel-'.length)) ?? [];
    return this.signers[role as 'root' | 'targets' | 'snapshot' | 'timestamp' | 'stage0'];
  }
}

function signersOf(keys: string) {
  const signer = (role: string) => [testSigner(`${keys} ${role}`)];
  return {
    root: signer('root'),
    targets: signer('targets'),
    snapshot: signer('snapshot'),
    timestamp: signer('timestamp'),
    stage0: signer('stage0'),
    channels: new Map([CHANNEL, OTHER_CHANNEL].map((channel) => [channel, signer(channel)])),
  };
}

/** A UKI of a tiny stub and a tiny kernel: every build has its own command line, so its own PCRs. */
export function composeBuild(build: number): SignedStage0 {
  const part = (text: string) => Buffer.from(text.repeat(8));
  const composed = composeStage0({
    base: {
      kernel: buildTinyPe([{ name: '.text', data: part(`stage-0 kernel ${build} `) }]),
      initramfs: part('stage-0 initramfs '),
      stub: buildTinyPe(),
      osRelease: Buffer.from('ID=bootward\n'),
    },
    config: { 'agent.conf': Buffer.from(`stage0_build=${build}\n`) },
    cmdline: `console=ttyS0 build=${build}`,
  });
  const listing: Stage0Listing = {
    build,
    architecture: 'x86-64',
    target: stage0Target('x86-64', build),
    ...referenceOf(composed.image),
    authenticodeSha256: toHex(composed.authenticodeSha256),
    pcr11: toHex(composed.pcr11),
  };
  return { listing, image: composed.image };
}

function composeRelease(version: number, channel: string, size: number): SignedRelease {
  const name = `${channel} release ${version}`;
  const kernel = buildTinyPe([{ name: '.text', data: Buffer.alloc(size, `${name} kernel `) }]);
  const initramfs = Buffer.alloc(size, `${name} initramfs `);
  const document: ReleaseManifest = {
    ...{ channel, version, name, architecture: 'x86-64', handover: 'kexec', cmdline: 'console=ttyS0 quiet' },
    kernel: referenceOf(kernel),
    initramfs: referenceOf(initramfs),
    attachments: new Map(),
  };
  const manifest = encodeReleaseManifest(document);
  const target = releaseTarget(channel, version);
  const listing = {
    channel,
    version,
    target,
    architecture: 'x86-64',
    name,
    ...referenceOf(manifest),
  } as const;
  return { listing, manifest, kernel, initramfs };
}
