import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, toHex } from '../../src/core/bytes.ts';
import { referenceOf } from '../../src/signing/artifact.ts';
import { openKeyFile } from '../../src/signing/keys/key-file.ts';
import type { Signer } from '../../src/signing/signer.ts';
import { CHANNEL, type World } from '../world.ts';

export type Forgery = 'one-signature' | 'same-key-twice' | 'key-of-another-role';

interface Envelope {
  signatures: { keyid: string; sig: string }[];
  // biome-ignore lint/suspicious/noExplicitAny: a thief changes whatever it likes
  signed: any;
}

/**
 * What a thief of the online keys and of one release key can make: the channel's metadata with fewer good
 * signatures than it needs, under a snapshot and a timestamp whose signatures are good.
 */
export async function forgeChannel(
  world: World,
  metadata: ReadonlyMap<string, Uint8Array>,
  forgery: Forgery,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const role = `channel-${CHANNEL}`;
  const files = new Map(metadata);
  const timestamp = read(files, 'timestamp.json');
  const snapshotFile = `${timestamp.signed.meta['snapshot.json'].version}.snapshot.json`;
  const snapshot = read(files, snapshotFile);
  const channelFile = `${snapshot.signed.meta[`${role}.json`].version}.${role}.json`;
  const channel = read(files, channelFile);
  channel.signatures = await forgeSignatures(world, channel, forgery);
  point(snapshot, `${role}.json`, write(files, channelFile, channel));
  await signAgain(world, 'snapshot', snapshot);
  point(timestamp, 'snapshot.json', write(files, snapshotFile, snapshot));
  await signAgain(world, 'timestamp', timestamp);
  write(files, 'timestamp.json', timestamp);
  return files;
}

async function forgeSignatures(
  world: World,
  { signatures, signed }: Envelope,
  forgery: Forgery,
): Promise<Envelope['signatures']> {
  const stolen = signatures.slice(0, 1);
  switch (forgery) {
    case 'one-signature':
      return stolen;
    case 'same-key-twice':
      return [...stolen, ...stolen];
    case 'key-of-another-role':
      return [...stolen, await signatureOf(await openKey(world, 'stage0'), signed)];
  }
}

async function signAgain(world: World, role: 'snapshot' | 'timestamp', envelope: Envelope): Promise<void> {
  envelope.signatures = [await signatureOf(await openKey(world, role), envelope.signed)];
}

async function signatureOf(signer: Signer, signed: unknown): Promise<{ keyid: string; sig: string }> {
  return { keyid: signer.keyId, sig: toHex(await signer.sign(asciiBytes(canonicalize(signed)))) };
}

async function openKey({ repository, folder }: World, name: string): Promise<Signer> {
  const passphrase = await readFile(join(folder, 'passphrase'), 'utf8');
  return openKeyFile(join(repository, 'keys', `${name}.json`), passphrase.trim());
}

function point(envelope: Envelope, name: string, bytes: Uint8Array): void {
  const { length, sha256 } = referenceOf(bytes);
  Object.assign(envelope.signed.meta[name], { length, hashes: { sha256 } });
}

function read(files: ReadonlyMap<string, Uint8Array>, name: string): Envelope {
  return JSON.parse(Buffer.from(files.get(name) ?? '').toString()) as Envelope;
}

function write(files: Map<string, Uint8Array>, name: string, envelope: Envelope): Uint8Array {
  const bytes = asciiBytes(JSON.stringify(envelope));
  files.set(name, bytes);
  return bytes;
}
