import { bytesEqual, fromHex } from '../../core/bytes.ts';
import { ALG, describeScheme } from '../../tpm/algorithms.ts';
import { attributesOf } from '../../tpm/object-attributes.ts';
import type { TpmPublic } from '../../tpm/public-area.ts';
import { Refusal } from '../reasons.ts';

/**
 * The low range is used by policy alone (PolicyA, userWithAuth clear); the high range by its authValue, which
 * is empty, or by PolicyB. Nothing else may be set: TCG EK Credential Profile 2.5, annexes B.3 and B.4.
 */
type Range = 'low' | 'high';

export interface EkTemplate {
  /** As in the profile. */
  name: 'L-1' | 'L-2' | 'H-1' | 'H-2' | 'H-3' | 'H-4' | 'H-6' | 'H-7';
  range: Range;
  /** `RSA-2048`, or the name of the curve. */
  key: string;
  nameAlg: number;
  aesBits: 128 | 256;
}

const TEMPLATES: readonly EkTemplate[] = [
  { name: 'L-1', range: 'low', key: 'RSA-2048', nameAlg: ALG.SHA256, aesBits: 128 },
  { name: 'L-2', range: 'low', key: 'P-256', nameAlg: ALG.SHA256, aesBits: 128 },
  { name: 'H-1', range: 'high', key: 'RSA-2048', nameAlg: ALG.SHA256, aesBits: 128 },
  { name: 'H-2', range: 'high', key: 'P-256', nameAlg: ALG.SHA256, aesBits: 128 },
  { name: 'H-3', range: 'high', key: 'P-384', nameAlg: ALG.SHA384, aesBits: 256 },
  { name: 'H-4', range: 'high', key: 'P-521', nameAlg: ALG.SHA512, aesBits: 256 },
  { name: 'H-6', range: 'high', key: 'RSA-3072', nameAlg: ALG.SHA384, aesBits: 256 },
  { name: 'H-7', range: 'high', key: 'RSA-4096', nameAlg: ALG.SHA384, aesBits: 256 },
];

const LOW_ATTRIBUTES = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);
const ATTRIBUTES: Readonly<Record<Range, number>> = {
  low: LOW_ATTRIBUTES,
  high: LOW_ATTRIBUTES | attributesOf('userWithAuth'),
};

/** PolicySecret(TPM_RH_ENDORSEMENT), annex B.6.2. */
const POLICY_A = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');

/** PolicyOR of PolicyA and PolicyAuthorizeNV of a fixed index, by nameAlg, annex B.6.4. */
const POLICY_B: ReadonlyMap<number, Uint8Array> = new Map([
  [ALG.SHA256, fromHex('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0')],
  [
    ALG.SHA384,
    fromHex(
      'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
    ),
  ],
  [
    ALG.SHA512,
    fromHex(
      'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4' +
        '29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
    ),
  ],
]);

/**
 * What this server enrols: an EK of one of the profile's templates, in every field, so that a chip has at most
 * one key of each and cannot come with as many as it likes.
 *
 * @throws {Refusal} `ek-key-unsuitable`, naming the field that differs
 */
export function verifyEkTemplate(ekPublic: TpmPublic): EkTemplate {
  const key = nameOfKey(ekPublic);
  const candidates = TEMPLATES.filter((template) => template.key === key);
  if (candidates.length === 0)
    throw unsuitable(`expected RSA-2048, -3072, -4096, P-256, P-384 or P-521, it is ${key}`);
  const template = candidates.find(({ range }) => ATTRIBUTES[range] === ekPublic.attributes);
  if (template === undefined)
    throw unsuitable(
      `attributes ${hex(ekPublic.attributes)}, expected ${candidates.map(({ range }) => hex(ATTRIBUTES[range])).join(' or ')}`,
    );
  verifyFields(ekPublic, template);
  return template;
}

function verifyFields({ nameAlg, symmetric, scheme, authPolicy }: TpmPublic, template: EkTemplate): void {
  const { name, range, aesBits } = template;
  if (nameAlg.id !== template.nameAlg) throw unsuitable(`named by ${nameAlg.name}, which ${name} is not`);
  if (symmetric?.keyBits !== aesBits || symmetric.mode !== ALG.CFB)
    throw unsuitable(`expected AES-${aesBits} in CFB mode for ${name}, it names another`);
  if (scheme.id !== ALG.NULL) throw unsuitable(`scheme ${describeScheme(scheme)}, expected none`);
  const policy = range === 'low' ? POLICY_A : POLICY_B.get(nameAlg.id);
  if (policy === undefined || !bytesEqual(authPolicy, policy))
    throw unsuitable(`its policy is not that of template ${name}`);
}

function nameOfKey(ekPublic: TpmPublic): string {
  return ekPublic.type === 'rsa' ? `RSA-${ekPublic.keyBits}` : ekPublic.curve.name;
}

function hex(attributes: number): string {
  return `0x${attributes.toString(16).padStart(8, '0')}`;
}

function unsuitable(fault: string): Refusal {
  return new Refusal('ek-key-unsuitable', `EK: ${fault} (TCG EK Credential Profile, annex B)`);
}
