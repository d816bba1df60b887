import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes } from '../core/bytes.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseStrictJson } from '../core/strict-json.ts';
import type { ArtifactReference } from '../signing/artifact.ts';
import { isSha256Hex, isVersion } from '../signing/names.ts';

// What is asked for with requests of the types `efi-image` and `pi-boot-image`, in canonical form. The image
// itself is uploaded before.
//
//   {"_type": "efi-image", "authenticodeSha256": hex, "length": N, "sha256": hex, "time": Unix seconds}
//   {"_type": "pi-boot-image", "length": N, "sha256": hex}

/** Also the names of the roles that sign them. */
export const IMAGE_TYPES = ['efi-image', 'pi-boot-image'] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

/** No EFI image and no boot.img that is signed is larger. */
export const MAX_IMAGE_BYTES = 128 * 1024 * 1024;
const MAX_TEXT_BYTES = 1024;

export interface EfiImageDocument extends ArtifactReference {
  /** What the signature is about. */
  readonly authenticodeSha256: string;
  /** The signing time within the signature: Unix seconds. */
  readonly time: number;
}

export function isImageType(name: string): name is ImageType {
  return IMAGE_TYPES.some((type) => type === name);
}

export function encodeEfiImage({ sha256, length, authenticodeSha256, time }: EfiImageDocument): Uint8Array {
  return asciiBytes(canonicalize({ _type: 'efi-image', authenticodeSha256, length, sha256, time }));
}

export function encodePiBootImage({ sha256, length }: ArtifactReference): Uint8Array {
  return asciiBytes(canonicalize({ _type: 'pi-boot-image', length, sha256 }));
}

/** @throws {Error} */
export function decodeEfiImage(untrustedText: string): EfiImageDocument {
  const { authenticodeSha256, time, ...rest } = decode('efi-image', untrustedText);
  if (!isSha256Hex(authenticodeSha256)) throw new Error('"authenticodeSha256" is not a SHA-256');
  if (!isVersion(time)) throw new Error('"time" is no Unix time');
  const document = { ...referenceIn(rest), authenticodeSha256, time };
  return requireSame(document, encodeEfiImage(document), untrustedText);
}

/** @throws {Error} */
export function decodePiBootImage(untrustedText: string): ArtifactReference {
  const document = referenceIn(decode('pi-boot-image', untrustedText));
  return requireSame(document, encodePiBootImage(document), untrustedText);
}

function decode(type: ImageType, untrustedText: string): JsonObject {
  const document = parseStrictJson(Buffer.from(untrustedText, 'latin1'), { maxBytes: MAX_TEXT_BYTES });
  if (!isJsonObject(document) || document._type !== type) throw new Error(`the text is no ${type}`);
  return document;
}

function referenceIn({ sha256, length }: { [member: string]: JsonValue }): ArtifactReference {
  if (!isSha256Hex(sha256)) throw new Error('"sha256" is not a SHA-256');
  if (!isVersion(length) || length > MAX_IMAGE_BYTES)
    throw new Error(`"length" is not between 1 and ${MAX_IMAGE_BYTES}`);
  return { sha256, length };
}

function requireSame<T>(document: T, encoded: Uint8Array, untrustedText: string): T {
  if (Buffer.from(encoded).toString('latin1') !== untrustedText)
    throw new Error('the text is not in canonical form, or has more members');
  return document;
}
