import { createPrivateKey, createPublicKey } from 'node:crypto';
import { asciiBytes, fromHex, utf8Bytes } from '../../../src/core/bytes.ts';
import { authenticodeSha256 } from '../../../src/signing/efi/authenticode.ts';
import { parsePe, stripSignatures } from '../../../src/signing/efi/pe.ts';
import { assembleUki } from '../../../src/signing/efi/uki.ts';
import { measureUki } from '../../../src/signing/efi/uki-measurement.ts';
import { signJws, verifyJws } from '../../../src/signing/jws.ts';
import {
  encodeEncryptedKey,
  encryptKey,
  MIN_SCRYPT_LOG_N,
  parseEncryptedKey,
} from '../../../src/signing/keys/encrypted-key.ts';
import { encodeReleaseManifest, parseReleaseManifest } from '../../../src/signing/manifest.ts';
import { buildTinyPe } from '../../signing/efi/tiny-pe.ts';
import { MANIFEST } from '../../signing/tuf/tuf-fixture.ts';
import { type FuzzTarget, requireSame } from '../target.ts';

/** A key of the tests: worth nothing, and the same in every run. */
const PRIVATE_KEY = createPrivateKey({
  key: Buffer.concat([fromHex('302e020100300506032b657004220420'), Buffer.alloc(32, 7)]),
  format: 'der',
  type: 'pkcs8',
});
const TYP = 'bootward-grant+jwt';

export const SIGNING_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'release-manifest',
    format: 'json',
    prepare: () => ({
      seeds: [encodeReleaseManifest(MANIFEST)],
      examine: (input) => {
        const manifest = parseReleaseManifest(input);
        const written = encodeReleaseManifest(manifest);
        requireSame(encodeReleaseManifest(parseReleaseManifest(written)), written);
        return manifest;
      },
    }),
  },
  { name: 'jws', format: 'bytes', prepare: prepareJws },
  {
    name: 'encrypted-key',
    format: 'json',
    prepare: async () => ({
      seeds: [encodeEncryptedKey(await sealedKey())],
      examine: (input) => {
        const key = parseEncryptedKey(input);
        const written = encodeEncryptedKey(key);
        requireSame(encodeEncryptedKey(parseEncryptedKey(written)), written);
        return key;
      },
    }),
  },
  {
    name: 'pe-image',
    format: 'bytes',
    prepare: () => ({
      seeds: [buildTinyPe(), signedPe()],
      examine: (input) => {
        const { bytes: _, ...image } = parsePe(input);
        const stripped = stripSignatures(input);
        requireSame(stripSignatures(stripped), stripped);
        return { image, digest: authenticodeSha256(stripped) };
      },
    }),
  },
  {
    name: 'unified-kernel-image',
    format: 'bytes',
    prepare: () => ({ seeds: [assemble(buildTinyPe())], examine: measureUki }),
  },
  {
    name: 'stub',
    format: 'bytes',
    prepare: () => ({
      seeds: [buildTinyPe()],
      examine: (input) => measureUki(assemble(input)),
    }),
  },
];

async function prepareJws() {
  const keyId = 'a'.repeat(64);
  const keys = new Map([[keyId, createPublicKey(PRIVATE_KEY)]]);
  const token = await signJws({
    key: PRIVATE_KEY,
    keyId,
    typ: TYP,
    payload: { sub: 'n-0123', iat: 1, cnf: { 'x5t#S256': 'abc' } },
  });
  return {
    seeds: [asciiBytes(token)],
    examine: async (input: Uint8Array) => {
      const text = Buffer.from(input).toString('latin1');
      const verified = await verifyJws({ token: text, keys, typ: TYP, maxBytes: 4096 });
      requireSame(input, asciiBytes(token));
      return verified;
    },
  };
}

function sealedKey() {
  return encryptKey({
    privateKey: PRIVATE_KEY,
    passphrase: 'correct horse battery staple',
    random: (length) => new Uint8Array(length).fill(1),
    logN: MIN_SCRYPT_LOG_N,
  });
}

function signedPe(): Uint8Array {
  const image = buildTinyPe();
  const table = Buffer.alloc(16);
  table.writeUInt32LE(table.length, 0);
  const directoryEntry = 0x58 + 112 + 32;
  image.writeUInt32LE(image.length, directoryEntry);
  image.writeUInt32LE(table.length, directoryEntry + 4);
  return Buffer.concat([image, table]);
}

function assemble(stub: Uint8Array): Uint8Array {
  return assembleUki({
    stub,
    sections: {
      osRelease: utf8Bytes('ID=bootward\n'),
      cmdline: 'quiet',
      initramfs: new Uint8Array(600).fill(1),
      kernel: buildTinyPe(),
    },
  });
}
