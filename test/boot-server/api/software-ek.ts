import {
  constants,
  createDecipheriv,
  createHmac,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  webcrypto,
} from 'node:crypto';
import { asciiBytes, bytesEqual, EMPTY, fromBase64Url, fromHex } from '../../../src/core/bytes.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { kdfa } from '../../../src/tpm/kdf.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import { encodeTpmtPublic, parseTpmtPublic, type TpmPublic } from '../../../src/tpm/public-area.ts';
import { parseWhole } from '../../../src/tpm/reader.ts';
import { sized } from '../../../src/tpm/writer.ts';
import { type Authority, issueEk } from '../../attestation/endorsement/certificate-maker.ts';
import { SHA256 } from '../../attestation/software-ak.ts';
import { createQuickRsaKey } from './quick-rsa.ts';

/** The endorsement side of a TPM in software: the key that its manufacturer certified. */
export interface SoftwareEk {
  publicArea: TpmPublic;
  /** TPM2B_PUBLIC */
  public: Uint8Array;
  certificate: Uint8Array;
  /**
   * TPM2_ActivateCredential (Part 1, section 24): gives the secret back if the credential was made for this
   * EK and for the object of this Name.
   */
  open(credential: { credentialBlob: Uint8Array; encryptedSecret: Uint8Array; name: Uint8Array }): Uint8Array;
}

/** PolicySecret(endorsement) with SHA-256: PolicyA of the TCG EK Credential Profile, annex B.2. */
const POLICY_A = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');
const TEMPLATE_ATTRIBUTES = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);

/** RSA-2048 by the low-range template L-1, as swtpm and most chips make it. */
export async function createSoftwareEk(
  manufacturer: Authority,
  { attributes = TEMPLATE_ATTRIBUTES }: { attributes?: number } = {},
): Promise<SoftwareEk> {
  const privateKey = createQuickRsaKey();
  const publicKey = createPublicKey(privateKey);
  const publicArea = parseTpmtPublic(
    encodeTpmtPublic({
      type: 'rsa',
      nameAlg: SHA256,
      attributes,
      authPolicy: POLICY_A,
      symmetric: { keyBits: 128, mode: ALG.CFB },
      scheme: { id: ALG.NULL },
      keyBits: 2048,
      exponent: 65537,
      modulus: fromBase64Url(publicKey.export({ format: 'jwk' }).n ?? ''),
    }),
  );
  return {
    publicArea,
    public: sized(publicArea.raw),
    certificate: await issueEk(await toCryptoKey(publicKey), manufacturer),
    open: (credential) => activateCredential(privateKey, credential),
  };
}

function activateCredential(
  privateKey: KeyObject,
  { credentialBlob, encryptedSecret, name }: Parameters<SoftwareEk['open']>[0],
): Uint8Array {
  const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const secret = parseWhole(encryptedSecret, 'TPM2B_ENCRYPTED_SECRET', (reader) => reader.sized(256));
  const seed = privateDecrypt({ key: privateKey, ...oaep, oaepLabel: asciiBytes('IDENTITY\0') }, secret);
  const idObject = parseWhole(credentialBlob, 'TPM2B_ID_OBJECT', (reader) => reader.sized(256));
  const { integrity, encIdentity } = parseWhole(idObject, 'TPMS_ID_OBJECT', (reader) => ({
    integrity: reader.sized(32),
    encIdentity: reader.fixed(reader.remaining),
  }));
  const derive = (label: string, contextU: Uint8Array, bits: number) =>
    kdfa({ hash: SHA256, key: seed, label, contextU, contextV: EMPTY, bits });
  const hmac = createHmac('sha256', derive('INTEGRITY', EMPTY, 256))
    .update(encIdentity)
    .update(name);
  if (!bytesEqual(hmac.digest(), integrity)) throw new Error('TPM_RC_INTEGRITY');
  const cipher = createDecipheriv('aes-128-cfb', derive('STORAGE', name, 128), new Uint8Array(16));
  const identity = Buffer.concat([cipher.update(encIdentity), cipher.final()]);
  return parseWhole(identity, 'TPM2B_DIGEST', (reader) => reader.sized(32));
}

async function toCryptoKey(publicKey: KeyObject): Promise<webcrypto.CryptoKey> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']);
}
