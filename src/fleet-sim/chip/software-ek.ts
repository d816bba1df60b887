import {
  constants,
  createDecipheriv,
  createECDH,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  webcrypto,
} from 'node:crypto';
import { asciiBytes, bytesEqual, concatBytes, EMPTY, fromBase64Url, fromHex } from '../../core/bytes.ts';
import { ALG, curveById, type EccCurve, type HashAlgorithm } from '../../tpm/algorithms.ts';
import { kdfa, kdfe } from '../../tpm/kdf.ts';
import { attributesOf } from '../../tpm/object-attributes.ts';
import { encodeTpmtPublic, parseTpmtPublic, type TpmPublic } from '../../tpm/public-area.ts';
import { parseWhole } from '../../tpm/reader.ts';
import { sized } from '../../tpm/writer.ts';
import { type Authority, type CertificateOptions, issueEk, KeyUsageFlags } from './manufacturer.ts';
import { createQuickRsaKey } from './quick-rsa.ts';
import { hashOf } from './software-ak.ts';

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

const LOW = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);
const HIGH = LOW | attributesOf('userWithAuth');
const POLICY_A = '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';
const POLICY_B256 = 'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0';
const POLICY_B384 =
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12';

/** By the names of the TCG EK Credential Profile, annex B; `ecc` holds a TPM_ECC_CURVE. */
const TEMPLATES = {
  'L-1': { attributes: LOW, nameAlg: ALG.SHA256, policy: POLICY_A, aesBits: 128 },
  'L-2': { ecc: 3, attributes: LOW, nameAlg: ALG.SHA256, policy: POLICY_A, aesBits: 128 },
  'H-1': { attributes: HIGH, nameAlg: ALG.SHA256, policy: POLICY_B256, aesBits: 128 },
  'H-2': { ecc: 3, attributes: HIGH, nameAlg: ALG.SHA256, policy: POLICY_B256, aesBits: 128 },
  'H-3': { ecc: 4, attributes: HIGH, nameAlg: ALG.SHA384, policy: POLICY_B384, aesBits: 256 },
} as const;

export type TemplateName = keyof typeof TEMPLATES;

/** One whose private half can be kept. */
export interface KeptEk extends SoftwareEk {
  privateKey: KeyObject;
}

interface EkOptions {
  template?: TemplateName;
  attributes?: number;
  certificate?: CertificateOptions;
}

/** RSA-2048 by the low-range template L-1, as swtpm and most chips make it, unless another is asked for. */
export async function createSoftwareEk(manufacturer: Authority, options: EkOptions = {}): Promise<KeptEk> {
  const curve = curveOf(options.template);
  const privateKey = curve
    ? generateKeyPairSync('ec', { namedCurve: curve.name }).privateKey
    : createQuickRsaKey();
  const certificate = await issueEk(await toCryptoKey(createPublicKey(privateKey), curve), manufacturer, {
    keyUsage: curve ? KeyUsageFlags.keyAgreement : KeyUsageFlags.keyEncipherment,
    ...options.certificate,
  });
  return loadSoftwareEk({ ...options, privateKey, certificate });
}

/** One that was made before. */
export function loadSoftwareEk(
  on: Pick<KeptEk, 'privateKey' | 'certificate'> & Omit<EkOptions, 'certificate'>,
): KeptEk {
  const { privateKey, certificate } = on;
  const publicArea = publicAreaOf(on);
  return {
    privateKey,
    publicArea,
    public: sized(publicArea.raw),
    certificate,
    open: (credential) => activateCredential({ privateKey, publicArea, ...credential }),
  };
}

function curveOf(name: TemplateName = 'L-1'): EccCurve | undefined {
  const template = TEMPLATES[name];
  return 'ecc' in template ? curveById(template.ecc) : undefined;
}

function publicAreaOf(on: Pick<EkOptions, 'template' | 'attributes'> & { privateKey: KeyObject }): TpmPublic {
  const template = TEMPLATES[on.template ?? 'L-1'];
  const common = {
    nameAlg: hashOf(template.nameAlg),
    attributes: on.attributes ?? template.attributes,
    authPolicy: fromHex(template.policy),
    symmetric: { keyBits: template.aesBits, mode: ALG.CFB },
    scheme: { id: ALG.NULL },
  };
  const curve = curveOf(on.template);
  const jwk = createPublicKey(on.privateKey).export({ format: 'jwk' });
  const [x, y, modulus] = [jwk.x, jwk.y, jwk.n].map((number) => fromBase64Url(number ?? ''));
  const rsa = { type: 'rsa' as const, keyBits: 2048, exponent: 65537, modulus: modulus ?? EMPTY };
  const area = curve ? { type: 'ecc' as const, curve, x: x ?? EMPTY, y: y ?? EMPTY } : rsa;
  return parseTpmtPublic(encodeTpmtPublic({ ...common, ...area }));
}

type Activation = Parameters<SoftwareEk['open']>[0] & { privateKey: KeyObject; publicArea: TpmPublic };

function activateCredential({ credentialBlob, name, ...key }: Activation): Uint8Array {
  const { nameAlg, symmetric } = key.publicArea;
  const keyBits = symmetric?.keyBits ?? 0;
  const seed = recoverSeed(key);
  const idObject = parseWhole(credentialBlob, 'TPM2B_ID_OBJECT', (reader) => reader.sized(256));
  const { integrity, encIdentity } = parseWhole(idObject, 'TPMS_ID_OBJECT', (reader) => ({
    integrity: reader.sized(nameAlg.size),
    encIdentity: reader.fixed(reader.remaining),
  }));
  const derive = (label: string, contextU: Uint8Array, bits: number) =>
    kdfa({ hash: nameAlg, key: seed, label, contextU, contextV: EMPTY, bits });
  const hmac = createHmac(nameAlg.name, derive('INTEGRITY', EMPTY, 8 * nameAlg.size))
    .update(encIdentity)
    .update(name);
  if (!bytesEqual(hmac.digest(), integrity)) throw new Error('TPM_RC_INTEGRITY');
  const storageKey = derive('STORAGE', name, keyBits);
  const cipher = createDecipheriv(`aes-${keyBits}-cfb`, storageKey, new Uint8Array(16));
  const identity = Buffer.concat([cipher.update(encIdentity), cipher.final()]);
  return parseWhole(identity, 'TPM2B_DIGEST', (reader) => reader.sized(32));
}

/** Part 1, annexes B.10.4 and C.6.1. */
function recoverSeed({
  privateKey,
  publicArea,
  encryptedSecret,
}: Omit<Activation, 'credentialBlob' | 'name'>) {
  const { nameAlg } = publicArea;
  const secret = parseWhole(encryptedSecret, 'TPM2B_ENCRYPTED_SECRET', (reader) => reader.sized(512));
  if (publicArea.type === 'ecc') return eccSeed({ privateKey, curve: publicArea.curve, nameAlg, secret });
  const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: nameAlg.name };
  return privateDecrypt({ key: privateKey, ...oaep, oaepLabel: asciiBytes('IDENTITY\0') }, secret);
}

function eccSeed(on: { privateKey: KeyObject; curve: EccCurve; nameAlg: HashAlgorithm; secret: Uint8Array }) {
  const { coordinateSize, ecdhName } = on.curve;
  const [partyU, y] = parseWhole(on.secret, 'TPMS_ECC_POINT', (reader) => [
    reader.sized(coordinateSize),
    reader.sized(coordinateSize),
  ]);
  const { d = '', x = '' } = on.privateKey.export({ format: 'jwk' });
  const ecdh = createECDH(ecdhName);
  ecdh.setPrivateKey(fromBase64Url(d));
  const z = ecdh.computeSecret(concatBytes(Uint8Array.of(4), partyU ?? EMPTY, y ?? EMPTY));
  return kdfe({
    hash: on.nameAlg,
    z,
    label: 'IDENTITY',
    partyU: partyU ?? EMPTY,
    partyV: fromBase64Url(x),
    bits: 8 * on.nameAlg.size,
  });
}

async function toCryptoKey(publicKey: KeyObject, curve?: EccCurve): Promise<webcrypto.CryptoKey> {
  const algorithm = curve
    ? { name: 'ECDSA', namedCurve: curve.name }
    : { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']);
}
