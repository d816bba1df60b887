import { constants, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { KeyError } from './key-error.ts';

/**
 * An RSA key that may never leave where it is: for Authenticode and the Pi's boot.sig, and nothing else.
 * TUF roles sign with `Signer`.
 */
export interface RsaPkcs1Signer {
  readonly publicKey: KeyObject;
  /** RSASSA-PKCS1-v1_5 with SHA-256 over `message` (RFC 8017 section 8.2); as long as the modulus. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export function createRsaPkcs1Signer(privateKey: KeyObject): RsaPkcs1Signer {
  if (privateKey.asymmetricKeyType !== 'rsa')
    throw new KeyError('key-file-invalid', `an RSA key is needed, this is ${privateKey.asymmetricKeyType}`);
  return {
    publicKey: createPublicKey(privateKey),
    sign: (message) =>
      new Promise((resolve, reject) =>
        sign(
          'sha256',
          message,
          { key: privateKey, padding: constants.RSA_PKCS1_PADDING },
          (error, signature) => (error === null ? resolve(signature) : reject(error)),
        ),
      ),
  };
}

export function isEncryptedPem(pem: Uint8Array): boolean {
  return /^-----BEGIN ENCRYPTED PRIVATE KEY-----$|^Proc-Type: 4,ENCRYPTED/m.test(
    Buffer.from(pem).toString('latin1'),
  );
}

/**
 * Opens a PEM private key, PKCS#8 or PKCS#1, in this process.
 *
 * @param passphrase needed when {@link isEncryptedPem}, ignored otherwise
 * @throws `KeyError` with `passphrase-wrong` or `key-file-invalid`
 */
export function openRsaPem(pem: Uint8Array, passphrase?: string): RsaPkcs1Signer {
  return createRsaPkcs1Signer(openPem(pem, passphrase));
}

function openPem(pem: Uint8Array, passphrase: string | undefined): KeyObject {
  const encrypted = isEncryptedPem(pem);
  if (encrypted && passphrase === undefined)
    throw new KeyError('passphrase-invalid', 'the key is encrypted: give its passphrase');
  const key = Buffer.from(pem);
  try {
    return createPrivateKey(encrypted ? { key, passphrase: passphrase ?? '' } : key);
  } catch (cause) {
    // A wrong passphrase decrypts to noise, which OpenSSL reports in more than one way.
    throw encrypted
      ? new KeyError('passphrase-wrong', "this is not the key's passphrase, or the file is damaged", {
          cause,
        })
      : new KeyError('key-file-invalid', 'this is not a private key in PEM', { cause });
  }
}
