import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { type ArtifactReference, referenceOf, verifyArtifact } from '../../signing/artifact.ts';
import { authenticodeSha256 } from '../../signing/efi/authenticode.ts';
import { signedBytesFor } from '../../signing/efi/authenticode-signature.ts';
import { requireBootImage } from '../../signing/pi/boot-image.ts';
import { refuse } from '../errors.ts';
import { decodeEfiImage, decodePiBootImage } from '../image-documents.ts';
import type { Judged, JudgeInput, RequestType } from './request-type.ts';

/** How far the clock of whoever asks may run ahead of ours. */
const MAX_AHEAD_SECONDS = 600;
/** Images have none: any that is allowed is signed, in any order. */
const NO_VERSION = 0;

/**
 * A Secure Boot signature for one image. The request names the image and its Authenticode digest; the digest is
 * computed here again from the uploaded bytes, and the signed attributes are made of nothing else.
 */
export const EFI_IMAGE_TYPE: RequestType = {
  name: 'efi-image',
  judge(input) {
    const document = reading(() => decodeEfiImage(input.untrustedText));
    if (document.time > input.nowMs / 1000 + MAX_AHEAD_SECONDS)
      refuse('image-refused', `the signing time ${document.time} is not yet: set the clock right`);
    requireAllowed(input, document.authenticodeSha256);
    const message = signedBytesFor({
      imageDigest: fromHex(document.authenticodeSha256),
      epochSeconds: document.time,
    });
    return judgedImage(document, {
      verifyFiles: async () => {
        const image = await readImage(input.folders.images, document);
        const computed = reading(() => toHex(authenticodeSha256(image)));
        if (computed !== document.authenticodeSha256)
          refuse('image-refused', `the image has the Authenticode digest ${computed}`);
      },
      message: async () => message,
    });
  },
};

/** What boot.sig holds: RSASSA-PKCS1-v1_5 over the image itself. */
export const PI_BOOT_IMAGE_TYPE: RequestType = {
  name: 'pi-boot-image',
  judge(input) {
    const document = reading(() => decodePiBootImage(input.untrustedText));
    requireAllowed(input, document.sha256);
    const read = () => readImage(input.folders.images, document);
    return judgedImage(document, {
      verifyFiles: async () => {
        const image = await read();
        reading(() => requireBootImage(image));
      },
      message: read,
    });
  },
};

function judgedImage(
  document: ArtifactReference,
  files: Required<Pick<Judged, 'verifyFiles' | 'message'>>,
): Judged {
  return { version: NO_VERSION, remember: { [document.sha256]: { ...document } }, ...files };
}

/** @param digest the one that the configuration lists images by */
function requireAllowed({ policy }: JudgeInput, digest: string): void {
  if (policy.allowedImages !== undefined && !policy.allowedImages.includes(digest))
    refuse('image-refused', `${digest} is none of the images that ${policy.role} may sign`);
}

async function readImage(folder: string, reference: ArtifactReference): Promise<Uint8Array> {
  try {
    const path = join(folder, reference.sha256);
    const { size } = await stat(path);
    verifyArtifact(reference, { ...reference, length: size });
    const image = await readFile(path);
    verifyArtifact(reference, referenceOf(image));
    return image;
  } catch (cause) {
    return refuse('image-refused', `image ${reference.sha256}: ${messageOf(cause)}`, cause);
  }
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    return refuse('image-refused', messageOf(cause), cause);
  }
}
