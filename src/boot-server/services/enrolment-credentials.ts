import type { EnrolmentRecord, PendingCredential } from '../../attestation/attestation-store.ts';
import { bytesEqual, fromHex, sha256, toHex } from '../../core/bytes.ts';
import type { RandomSource } from '../../core/random.ts';
import { type Credential, makeCredential } from '../../tpm/credential.ts';
import { Problem } from '../problems.ts';
import type { ExaminedEk } from './ek-examiner.ts';

const SECRET_BYTES = 32;

export type OfferedCredential = { ekFingerprint: string } & Credential;

export interface AnsweredSecret {
  ekFingerprint: string;
  secret: Uint8Array;
}

/** A secret that only the TPM with both this EK and an object of this Name can give back; we keep its hash. */
export function offerCredential(
  ek: ExaminedEk,
  { akName, random }: { akName: Uint8Array; random: RandomSource },
): { pending: PendingCredential; offer: OfferedCredential } {
  const secret = random(SECRET_BYTES);
  const credential = makeCredential({
    ekPublic: ek.publicArea,
    objectName: akName,
    credential: secret,
    random,
  });
  const pending: PendingCredential = {
    fingerprint: ek.fingerprint,
    publicArea: ek.publicArea.raw,
    identity: ek.identity,
    ...(ek.certificate && { certificate: ek.certificate }),
    ...(ek.manufacturer !== undefined && { manufacturer: ek.manufacturer }),
    secretSha256: toHex(sha256(secret)),
  };
  return { pending, offer: { ekFingerprint: ek.fingerprint, ...credential } };
}

/**
 * Every credential must be answered, and nothing else: all EKs that become names of a node were proven.
 *
 * @throws {Problem} activation-refused
 */
export function requireSecrets(
  { credentials }: Pick<EnrolmentRecord, 'credentials'>,
  secrets: readonly AnsweredSecret[],
): void {
  const answers = new Map(secrets.map((secret) => [secret.ekFingerprint, secret.secret]));
  const right = credentials.every((credential) => {
    const secret = answers.get(credential.fingerprint);
    return secret !== undefined && bytesEqual(sha256(secret), fromHex(credential.secretSha256));
  });
  if (!right || secrets.length !== credentials.length)
    throw new Problem(
      'activation-refused',
      'the TPM did not open the credential: EK and AK are not both in it',
    );
}
