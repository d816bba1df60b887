import { ALG, describeScheme, type HashAlgorithm } from '../../tpm/algorithms.ts';
import { hasAttribute, type ObjectAttribute } from '../../tpm/object-attributes.ts';
import type { TpmPublic } from '../../tpm/public-area.ts';
import { Refusal, type RefusalCode } from '../reasons.ts';
import { isRocaModulus } from './roca.ts';

/** What makes a TPM key an attestation key: it signs nothing but what its own TPM generated. */
const REQUIRED: readonly (readonly [ObjectAttribute, RefusalCode])[] = [
  ['restricted', 'ak-not-restricted'],
  ['sign', 'ak-not-signing'],
  ['fixedTPM', 'ak-not-fixed-tpm'],
  ['fixedParent', 'ak-not-fixed-parent'],
  ['sensitiveDataOrigin', 'ak-imported'],
];
const SIGNATURE_SCHEMES: readonly number[] = [ALG.RSASSA, ALG.RSAPSS, ALG.ECDSA];
const SIGNATURE_HASHES: readonly number[] = [ALG.SHA256, ALG.SHA384, ALG.SHA512];
const MIN_RSA_BITS = 2048;
const RSA_EXPONENT = 65537;

/**
 * The least that any attestation key must be (E7, E8, E13–E16), RSA or ECC. Judged in the very public area
 * whose Name is used elsewhere.
 *
 * @throws {Refusal} with the code of the first rule that does not hold
 */
export function verifyAkAttributes(akPublic: TpmPublic): void {
  for (const [attribute, code] of REQUIRED)
    if (!hasAttribute(akPublic.attributes, attribute))
      throw new Refusal(code, `attestation key: attribute ${attribute} is clear, expected set`);
  if (hasAttribute(akPublic.attributes, 'decrypt'))
    throw new Refusal('ak-decrypts', 'attestation key: attribute decrypt is set, expected clear');
  if (akPublic.symmetric !== undefined)
    throw new Refusal('ak-symmetric-set', 'attestation key: it names a symmetric algorithm, expected none');
  verifyStrength(akPublic);
}

/**
 * What this server enrols (docs/protocol.md): the one template that stage-0 recreates at every boot.
 *
 * @throws {Refusal}
 */
export function verifyAkTemplate(akPublic: TpmPublic): void {
  verifyAkAttributes(akPublic);
  const isTemplate =
    akPublic.type === 'ecc' &&
    akPublic.curve.name === 'P-256' &&
    akPublic.nameAlg.id === ALG.SHA256 &&
    akPublic.scheme.id === ALG.ECDSA &&
    akPublic.scheme.hash?.id === ALG.SHA256;
  if (!isTemplate)
    throw new Refusal(
      'ak-not-template',
      `attestation key: expected ECDSA with sha256 on P-256 and a sha256 name, it is ${describeKey(akPublic)}`,
    );
}

function describeKey({ scheme, nameAlg, ...area }: TpmPublic): string {
  const key = area.type === 'ecc' ? area.curve.name : `RSA-${area.keyBits}`;
  return `${describeScheme(scheme)} on ${key} and a ${nameAlg.name} name`;
}

function verifyStrength({ scheme, nameAlg, ...area }: TpmPublic): void {
  if (!SIGNATURE_SCHEMES.includes(scheme.id) || scheme.hash === undefined)
    throw new Refusal(
      'ak-scheme-unset',
      `attestation key: signature scheme ${describeScheme(scheme)}, expected RSASSA, RSAPSS or ECDSA with a hash`,
    );
  requireStrongHash(scheme.hash, 'signs with');
  requireStrongHash(nameAlg, 'is named by');
  if (area.type === 'rsa' && (area.keyBits < MIN_RSA_BITS || area.exponent !== RSA_EXPONENT))
    throw new Refusal(
      'ak-key-weak',
      `attestation key: RSA-${area.keyBits} with exponent ${area.exponent}, expected ${MIN_RSA_BITS} bits or more and ${RSA_EXPONENT}`,
    );
  if (area.type === 'rsa' && isRocaModulus(area.modulus))
    throw new Refusal('key-roca', 'attestation key: its RSA modulus can be factored (CVE-2017-15361)');
}

function requireStrongHash(hash: HashAlgorithm, role: string): void {
  if (!SIGNATURE_HASHES.includes(hash.id))
    throw new Refusal(
      'ak-hash-weak',
      `attestation key: it ${role} ${hash.name}, expected sha256, sha384 or sha512`,
    );
}
