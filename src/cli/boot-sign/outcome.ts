import { CodedError, messageOf } from '../../core/errors.ts';

/** Exit codes after sysexits.h; docs/releases.md lists them, and they don't change once released. */
export const EXIT = {
  done: 0,
  usage: 64,
  /** What was read is not what it should be: metadata, artifacts, images, key files. */
  refused: 65,
  missing: 66,
  /** The boot server, the signing service or the HSM cannot be reached. */
  unavailable: 69,
  internal: 70,
  /** It is there already and stays as it is. */
  exists: 73,
  /** Another boot-sign is at work in the folder. */
  busy: 75,
  /** The boot server or the signing service refused. */
  rejected: 76,
  passphrase: 77,
  /** Done as far as the keys at hand go: others have to sign before it is in force. */
  waiting: 79,
} as const;

const EXIT_BY_CODE: Readonly<Record<string, number>> = {
  usage: EXIT.usage,
  'repository-missing': EXIT.missing,
  'repository-unsigned': EXIT.missing,
  'repository-exists': EXIT.exists,
  'repository-busy': EXIT.busy,
  'key-file-missing': EXIT.missing,
  'key-file-exists': EXIT.exists,
  'passphrase-wrong': EXIT.passphrase,
  'passphrase-invalid': EXIT.passphrase,
  'door-unreachable': EXIT.unavailable,
  'door-refused': EXIT.rejected,
  'signing-service-unreachable': EXIT.unavailable,
  'signing-service-refused': EXIT.rejected,
  'hsm-gone': EXIT.unavailable,
  'hsm-slow': EXIT.unavailable,
  'hsm-pin-wrong': EXIT.passphrase,
  'key-reference-invalid': EXIT.usage,
  'secret-missing': EXIT.missing,
  'signatures-missing': EXIT.waiting,
  'approval-pending': EXIT.waiting,
  'pending-missing': EXIT.missing,
};

export interface Failure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
}

/** Every error of ours has a code; a missing file is the user's; anything else is a fault of this program. */
export function describeFailure(error: unknown): Failure {
  const message = messageOf(error);
  if (error instanceof CodedError)
    return { exitCode: EXIT_BY_CODE[error.code] ?? EXIT.refused, code: error.code, message };
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return { exitCode: error.code === 'ENOENT' ? EXIT.missing : EXIT.internal, code: error.code, message };
  return { exitCode: EXIT.internal, code: 'internal', message };
}
