import { messageOf } from '../../core/errors.ts';
import { ALG } from '../../tpm/algorithms.ts';
import { hasAttribute, type ObjectAttribute } from '../../tpm/object-attributes.ts';
import type { TpmPublic } from '../../tpm/public-area.ts';
import { toKeyObject } from '../../tpm/public-key.ts';
import { Refusal } from '../reasons.ts';
import { isRocaModulus } from './roca.ts';

const REQUIRED: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'restricted',
  'decrypt',
];
const MIN_RSA_BITS = 2048;
const RSA_EXPONENT = 65537;

/**
 * What every template of the TCG EK Credential Profile (annex B) has in common: a restricted decryption
 * key that its TPM made and will never give away.
 *
 * @throws {Refusal} `ek-key-unsuitable`, `ek-key-weak` or `key-roca`
 */
export function verifyEkPublic(ekPublic: TpmPublic): void {
  const missing = REQUIRED.find((attribute) => !hasAttribute(ekPublic.attributes, attribute));
  if (missing !== undefined)
    throw new Refusal('ek-key-unsuitable', `EK: attribute ${missing} is clear, expected set`);
  if (hasAttribute(ekPublic.attributes, 'sign'))
    throw new Refusal('ek-key-unsuitable', 'EK: attribute sign is set, expected clear');
  if (ekPublic.symmetric?.mode !== ALG.CFB)
    throw new Refusal(
      'ek-key-unsuitable',
      'EK: expected AES in CFB mode for what it protects, it names another',
    );
  if (ekPublic.nameAlg.id === ALG.SHA1)
    throw new Refusal('ek-key-weak', 'EK: it is named by SHA-1, expected SHA-256 or stronger');
  if (ekPublic.type === 'rsa' && (ekPublic.keyBits < MIN_RSA_BITS || ekPublic.exponent !== RSA_EXPONENT))
    throw new Refusal(
      'ek-key-weak',
      `EK: RSA-${ekPublic.keyBits} with exponent ${ekPublic.exponent}, expected ${MIN_RSA_BITS} bits or more and ${RSA_EXPONENT}`,
    );
  if (ekPublic.type === 'rsa' && isRocaModulus(ekPublic.modulus))
    throw new Refusal('key-roca', 'EK: its RSA modulus can be factored (CVE-2017-15361)');
  requireUsableKey(ekPublic);
}

function requireUsableKey(ekPublic: TpmPublic): void {
  try {
    toKeyObject(ekPublic);
  } catch (cause) {
    throw new Refusal('ek-key-unsuitable', `EK: ${messageOf(cause)}`, { cause });
  }
}
