import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, sha256, toHex } from '../../src/core/bytes.ts';
import type { JsonObject, JsonValue } from '../../src/core/strict-json.ts';
import { referenceOf } from '../../src/signing/artifact.ts';
import { encodeReleaseManifest, type ReleaseManifest } from '../../src/signing/manifest.ts';
import { channelRole, releaseTarget } from '../../src/signing/names.ts';
import { createKeySigner, type Signer } from '../../src/signing/signer.ts';
import {
  composeDelegated,
  composeRoot,
  composeSnapshot,
  composeTargets,
  composeTimestamp,
} from '../../src/signing/tuf/compose.ts';

/** A TUF repository with one release of one channel, its artifacts, and the keys to lie with. */
export interface SignedWorld {
  readonly keys: WorldKeys;
  readonly grant: { key: KeyObject; keyId: string };
  /** The root that stage-0 carries. */
  readonly root: Uint8Array;
  readonly files: Map<string, Uint8Array>;
  readonly artifacts: Map<string, Uint8Array>;
  readonly manifest: ReleaseManifest;
  /** As a verdict names it. */
  readonly release: JsonObject;
}

export interface WorldKeys {
  root: Signer[];
  targets: Signer[];
  snapshot: Signer[];
  timestamp: Signer[];
  stage0: Signer[];
  channel: Signer[];
  grant: KeyObject;
}

/** What one test changes before everything above it is signed. */
export interface WorldChanges {
  channelThreshold?: number;
  /** Root metadata after the one that stage-0 carries. */
  laterRoots?: number;
  /** Versions of timestamp, snapshot and channel metadata; 1 unless told. */
  version?: number;
  /** Of the channel's metadata alone. */
  channelVersion?: number;
  targetsVersion?: number;
  /** The timestamp's `x-bootward-signed-at`. */
  signedAt?: JsonValue;
  /** Root metadata after the first names these keys for snapshot and timestamp, and they sign. */
  rotated?: Pick<WorldKeys, 'snapshot' | 'timestamp'>;
  onlineExpiresMs?: number;
  offlineExpiresMs?: number;
  manifest?: Partial<ReleaseManifest>;
  /** What the kernel is filled with. */
  kernel?: string;
  root?: (signed: JsonObject) => JsonObject;
  targets?: (signed: JsonObject) => JsonObject;
  channel?: (signed: JsonObject) => JsonObject;
  snapshot?: (signed: JsonObject) => JsonObject;
  /** Who signs the channel's metadata; its own keys unless told. */
  channelSigners?: readonly Signer[];
}

const HOUR_MS = 3_600_000;
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'x86-64';
export const CHANNEL = 'lab';

export function createKeys(): WorldKeys {
  return {
    root: newSigners(2),
    targets: newSigners(1),
    snapshot: newSigners(1),
    timestamp: newSigners(1),
    stage0: newSigners(1),
    channel: newSigners(2),
    grant: generateKeyPairSync('ed25519').privateKey,
  };
}

export function newSigners(count: number): Signer[] {
  return Array.from({ length: count }, () => createKeySigner(generateKeyPairSync('ed25519').privateKey));
}

export async function createSignedWorld(keys: WorldKeys, changes: WorldChanges = {}): Promise<SignedWorld> {
  const online = {
    version: changes.version ?? 1,
    expiresMs: changes.onlineExpiresMs ?? Date.now() + HOUR_MS,
  };
  const offline = { version: 1, expiresMs: changes.offlineExpiresMs ?? Date.now() + HOUR_MS };
  const content = createRelease(changes);
  const grantSigner = createKeySigner(keys.grant);

  const root = await signed(change(rootOf(keys, offline), changes.root), keys.root);
  const now = { ...keys, ...changes.rotated };
  const versions = {
    targets: changes.targetsVersion ?? 1,
    channel: changes.channelVersion ?? online.version,
  };
  const composedTargets = targetsOf(keys, { ...offline, version: versions.targets }, changes);
  const targets = await signed(change(composedTargets, changes.targets), keys.targets);
  const channelSigned = composeDelegated(
    { ...offline, version: versions.channel },
    { [content.target]: content.entry },
  );
  const channel = await signed(
    change(channelSigned, changes.channel),
    changes.channelSigners ?? keys.channel,
  );
  const meta = new Map([
    ['targets', { version: versions.targets, ...referenceOf(targets) }],
    [channelRole(CHANNEL), { version: versions.channel, ...referenceOf(channel) }],
  ]);
  const snapshot = await signed(change(composeSnapshot(online, meta), changes.snapshot), now.snapshot);
  const listed = { version: online.version, ...referenceOf(snapshot) };
  const said = changes.signedAt === undefined ? {} : { 'x-bootward-signed-at': changes.signedAt };
  const timestamp = await signed({ ...composeTimestamp(online, listed), ...said }, now.timestamp);
  const files = new Map([
    ['1.root.json', root],
    ['timestamp.json', timestamp],
    [`${online.version}.snapshot.json`, snapshot],
    [`${versions.targets}.targets.json`, targets],
    [`${versions.channel}.${channelRole(CHANNEL)}.json`, channel],
  ]);
  for (let version = 2; version <= 1 + (changes.laterRoots ?? 0); version += 1)
    files.set(`${version}.root.json`, await signed(rootOf(now, { ...offline, version }), keys.root));
  const grant = { key: keys.grant, keyId: grantSigner.keyId };
  return { keys, grant, root, files, ...content };
}

export function rootOf(keys: WorldKeys, at: { version: number; expiresMs: number }): JsonObject {
  const ring = (signers: Signer[]) => ({ keys: signers.map(({ key }) => key), threshold: signers.length });
  const { root, targets, snapshot, timestamp } = keys;
  const top = {
    root: ring(root),
    targets: ring(targets),
    snapshot: ring(snapshot),
    timestamp: ring(timestamp),
  };
  return composeRoot(at, top, [createKeySigner(keys.grant).key]);
}

function targetsOf(
  keys: WorldKeys,
  at: { version: number; expiresMs: number },
  changes: WorldChanges,
): JsonObject {
  const channel = { keys: keys.channel.map(({ key }) => key), threshold: changes.channelThreshold ?? 2 };
  const stage0 = { keys: keys.stage0.map(({ key }) => key), threshold: 1 };
  return composeTargets(at, { stage0, channels: new Map([[CHANNEL, channel]]) });
}

function change(document: JsonObject, how?: (document: JsonObject) => JsonObject): JsonObject {
  return how ? how(structuredClone(document)) : document;
}

/** Signs anything, well-formed or not: the signing side of the project would refuse much of it. */
export async function signed(document: JsonObject, signers: readonly Signer[]): Promise<Uint8Array> {
  const canonical = asciiBytes(canonicalize(document));
  const signatures = [];
  for (const signer of signers)
    signatures.push({ keyid: signer.keyId, sig: toHex(await signer.sign(canonical)) });
  return asciiBytes(`${JSON.stringify({ signatures, signed: document }, null, 1)}\n`);
}

function createRelease({ manifest: changes = {}, kernel: filling = 'kernel' }: WorldChanges) {
  const kernel = fill(300_000, filling);
  const initramfs = fill(700_001, 'initramfs');
  const version = changes.version ?? 1;
  const manifest: ReleaseManifest = {
    ...{ channel: CHANNEL, version, name: 'lab release 1', architecture: ARCHITECTURE },
    ...{ handover: 'kexec', cmdline: 'console=ttyS0 quiet' },
    kernel: referenceOf(kernel),
    initramfs: referenceOf(initramfs),
    attachments: new Map(),
    ...changes,
  };
  const bytes = encodeReleaseManifest(manifest);
  const { sha256: digest, length } = referenceOf(bytes);
  const target = releaseTarget(CHANNEL, version);
  const custom = { version, architecture: ARCHITECTURE, name: 'lab release 1' };
  return {
    manifest,
    target,
    entry: { length, hashes: { sha256: digest }, custom },
    artifacts: new Map([bytes, kernel, initramfs].map((file) => [toHex(sha256(file)), file] as const)),
    release: { channel: CHANNEL, version, target, digest, name: manifest.name },
  };
}

function fill(length: number, text: string): Uint8Array {
  return new Uint8Array(Buffer.alloc(length, `${text} of the lab release, `));
}
