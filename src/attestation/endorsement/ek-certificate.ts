import { bytesEqual, sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { shortHex } from '../../core/printable.ts';
import type { TpmPublic } from '../../tpm/public-area.ts';
import { toSpki } from '../../tpm/public-key.ts';
import { verifyEkPublic } from '../keys/ek-public.ts';
import { isRocaKey } from '../keys/roca.ts';
import { unwrapNvCertificate } from '../quote/nv-certificate.ts';
import { type Finding, Refusal } from '../reasons.ts';
import { type Certificate, parseCertificate } from '../x509/x509.ts';
import { type EkPathOptions, findPath } from './ek-path.ts';
import { EK_CERTIFICATE_PURPOSE, verifyLeafExtensions } from './ek-path-rules.ts';

export interface VerifiedEk {
  /** Hex SHA-256 of the EK's SubjectPublicKeyInfo: the identity. */
  fingerprint: string;
  /** As the certificate spells them, for example `id:00001014`. */
  manufacturer?: string;
  model?: string;
  version?: string;
  /** DER, without header and padding of the NV index. */
  certificate: Uint8Array;
  /** Hex, of `certificate`. */
  certificateSha256: string;
  notes: Finding[];
  /** Subjects from the EK certificate to the root. */
  chainSubjects: string[];
}

/** TCG EK Credential Profile 2.5: the attributes in subjectAltName (3.1.2). */
const TPM_MANUFACTURER = '2.23.133.2.1';
const TPM_MODEL = '2.23.133.2.2';
const TPM_VERSION = '2.23.133.2.3';

/**
 * Is this key the endorsement key of a genuine TPM? Our own rules on top of proven parsing; a path to an
 * accepted manufacturer says nothing about whether the machine is ours.
 *
 * @throws {Refusal} with one of the `ek-…` codes
 */
export function verifyEkCertificate(
  input: EkPathOptions & {
    /** DER as read from NV, with or without header and padding. */
    certificate: Uint8Array;
    ekPublic: TpmPublic;
  },
): VerifiedEk {
  verifyEkPublic(input.ekPublic);
  const leaf = parseLeaf(unwrapNvCertificate(input.certificate));
  verifySameKey(leaf, input.ekPublic);
  return verifyLeaf(leaf, { ...input, fingerprint: ekFingerprint(input.ekPublic) });
}

/**
 * The same of a certificate alone, for somebody who has no TPM at hand: its key's template is not judged.
 *
 * @throws {Refusal}
 */
export function verifyLoneEkCertificate(input: EkPathOptions & { certificate: Uint8Array }): VerifiedEk {
  const leaf = parseLeaf(unwrapNvCertificate(input.certificate));
  const fingerprint = toHex(sha256(spkiOf(leaf)));
  if (isRocaKey(leaf.node.publicKey))
    throw new Refusal('key-roca', 'EK: its RSA modulus can be factored (CVE-2017-15361)');
  return verifyLeaf(leaf, { ...input, fingerprint });
}

/** Computable from an EK certificate with openssl alone. */
export function ekFingerprint(ekPublic: TpmPublic): string {
  return toHex(sha256(toSpki(ekPublic)));
}

function verifyLeaf(leaf: Certificate, input: EkPathOptions & { fingerprint: string }): VerifiedEk {
  verifyLeafExtensions(leaf);
  verifyPurpose(leaf);
  if (input.nowMs < leaf.notBeforeMs)
    throw new Refusal(
      'ek-certificate-not-yet-valid',
      `EK certificate: valid from ${new Date(leaf.notBeforeMs).toISOString()}, it is ${new Date(input.nowMs).toISOString()}`,
    );
  const path = findPath(leaf, input);
  const names = readTpmNames(leaf);
  return {
    fingerprint: input.fingerprint,
    ...names,
    certificate: leaf.der,
    certificateSha256: toHex(sha256(leaf.der)),
    notes: [...expiryNotes(leaf, input.nowMs), ...nameNotes(names), ...path.notes],
    chainSubjects: [leaf, ...path.issuers].map(({ subject }) => subject),
  };
}

function parseLeaf(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    throw new Refusal('ek-certificate-malformed', `EK certificate: ${messageOf(cause)}`, { cause });
  }
}

/** E9: whoever shows a certificate must hold its key; E11b: id-RSAESOAEP keys parse but cannot be used. */
function verifySameKey(leaf: Certificate, ekPublic: TpmPublic): void {
  if (!bytesEqual(spkiOf(leaf), toSpki(ekPublic)))
    throw new Refusal(
      'ek-certificate-key-mismatch',
      `EK certificate: for key ${shortHex(sha256(spkiOf(leaf)))}, the EK presented is ${shortHex(sha256(toSpki(ekPublic)))}`,
    );
}

function spkiOf(leaf: Certificate): Uint8Array {
  try {
    return leaf.node.publicKey.export({ type: 'spki', format: 'der' });
  } catch (cause) {
    throw new Refusal(
      'ek-certificate-key-unsupported',
      `EK certificate: its key is unusable: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

function verifyPurpose({ basicConstraints, keyUsage, extendedKeyUsages, node }: Certificate): void {
  if (basicConstraints?.ca === true || keyUsage?.keyCertSign === true)
    throw new Refusal(
      'ek-certificate-is-ca',
      'EK certificate: it is the certificate of a CA, expected one of a TPM',
    );
  if (extendedKeyUsages?.includes(EK_CERTIFICATE_PURPOSE) !== true)
    throw new Refusal(
      'ek-certificate-purpose',
      `EK certificate: expected key purpose ${EK_CERTIFICATE_PURPOSE}, it has ${extendedKeyUsages?.join(', ') || 'none'}`,
    );
  const usage = node.publicKey.asymmetricKeyType === 'rsa' ? 'keyEncipherment' : 'keyAgreement';
  if (keyUsage?.[usage] !== true)
    throw new Refusal('ek-certificate-key-usage', `EK certificate: key usage lacks ${usage}`);
}

function readTpmNames(leaf: Certificate): Pick<VerifiedEk, 'manufacturer' | 'model' | 'version'> {
  const attributes = leaf.alternativeNames.flatMap((name) =>
    name.form === 'directory' ? name.name.attributes : [],
  );
  const [manufacturer, model, version] = [TPM_MANUFACTURER, TPM_MODEL, TPM_VERSION].map((oid) => {
    const values = attributes.filter((attribute) => attribute.oid === oid);
    if (values.length > 1)
      throw new Refusal('ek-certificate-malformed', `EK certificate: attribute ${oid} appears twice`);
    return values[0]?.value;
  });
  return {
    ...(manufacturer === undefined ? {} : { manufacturer }),
    ...(model === undefined ? {} : { model }),
    ...(version === undefined ? {} : { version }),
  };
}

/** Expiry of a leaf takes nothing from the proof that the key was made in a genuine TPM (E5). */
function expiryNotes(leaf: Certificate, nowMs: number): Finding[] {
  if (nowMs <= leaf.notAfterMs) return [];
  return [
    {
      code: 'ek-certificate-expired',
      message: `EK certificate: expired on ${new Date(leaf.notAfterMs).toISOString()}`,
    },
  ];
}

function nameNotes(names: ReturnType<typeof readTpmNames>): Finding[] {
  if (names.manufacturer !== undefined && names.model !== undefined && names.version !== undefined) return [];
  return [
    {
      code: 'ek-certificate-no-tpm-model',
      message: 'EK certificate: it does not name manufacturer, model and version',
    },
  ];
}
