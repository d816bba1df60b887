import type { KeyObject } from 'node:crypto';
import type { ImageType } from '../../boot-signer/image-documents.ts';
import { fromHex } from '../../core/bytes.ts';
import { rsaPkcs1KeyIdOf } from '../../signing/keys/rsa-pkcs1-key.ts';
import type { RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { requestImageSignature, type SigningServiceAddress, uploadImage } from './signing-service-client.ts';

/**
 * The service's RSA key, for one image: it computes itself what it signs, so that what is asked to be signed is not
 * sent. Whoever gets the signature verifies it against that.
 */
export function createServiceImageSigner(
  address: SigningServiceAddress,
  input: { type: ImageType; publicKey: KeyObject; image: Uint8Array; text: Uint8Array },
): RsaPkcs1Signer {
  const { type, publicKey, image, text } = input;
  return {
    publicKey,
    async sign() {
      await uploadImage(address, image);
      const keyId = rsaPkcs1KeyIdOf(publicKey);
      return fromHex(await requestImageSignature(address, { type, keyId, text }));
    },
  };
}
