import { CodedError } from '../../core/errors.ts';

export type HsmErrorCode =
  /** The add-on or the PKCS#11 module cannot be loaded. */
  | 'hsm-unavailable'
  /** Not one token answers to the reference, but none or several. */
  | 'hsm-token-missing'
  /** Tried once, and never again in this process. */
  | 'hsm-pin-wrong'
  /** Not tried, because that could lock the token. */
  | 'hsm-pin-not-tried'
  | 'hsm-pin-locked'
  /** Not one private key answers to the reference, but none or several. */
  | 'hsm-key-missing'
  | 'hsm-key-unsuitable'
  /** Another key answers to the reference than before. */
  | 'hsm-key-changed'
  /** What came back is not this key's signature. It was thrown away. */
  | 'hsm-signature-wrong'
  /** Session, token or device lost, and opening it once more did not help. */
  | 'hsm-gone'
  /** No answer within the deadline. What is answered later is thrown away. */
  | 'hsm-slow'
  | 'hsm-failed';

export class HsmError extends CodedError<HsmErrorCode> {}

/** PKCS#11 2.40, section 11.1: what a module says when the token, the session or the login went away. */
const GONE = new Set([
  0x30, // CKR_DEVICE_ERROR
  0x32, // CKR_DEVICE_REMOVED
  0x60, // CKR_KEY_HANDLE_INVALID
  0x82, // CKR_OBJECT_HANDLE_INVALID
  0xb0, // CKR_SESSION_CLOSED
  0xb3, // CKR_SESSION_HANDLE_INVALID
  0xe0, // CKR_TOKEN_NOT_PRESENT
  0xe1, // CKR_TOKEN_NOT_RECOGNIZED
  0x101, // CKR_USER_NOT_LOGGED_IN
  0x190, // CKR_CRYPTOKI_NOT_INITIALIZED
]);
const PIN_WRONG = new Set([
  0xa0, // CKR_PIN_INCORRECT
  0xa1, // CKR_PIN_INVALID
  0xa2, // CKR_PIN_LEN_RANGE
  0xa3, // CKR_PIN_EXPIRED
]);
const PIN_LOCKED = 0xa4;
const SESSION_COUNT = 0xb1;

/** @param name as the module says it, CKR_… */
export function errorOfReturnValue(value: { name: string; code: number; during: string }): HsmError {
  const said = `${value.during} answered ${value.name}`;
  if (GONE.has(value.code))
    return new HsmError('hsm-gone', `the HSM went away (${said}): see that it is there, then try again`);
  if (PIN_WRONG.has(value.code))
    return new HsmError(
      'hsm-pin-wrong',
      `the PIN is wrong (${value.name}). It was tried once and is not tried again: correct it, then start anew`,
    );
  if (value.code === PIN_LOCKED)
    return new HsmError(
      'hsm-pin-locked',
      "the token's PIN is locked: its security officer can set a new one",
    );
  if (value.code === SESSION_COUNT)
    return new HsmError(
      'hsm-failed',
      'the HSM has no session left: use fewer at once, or see which other programs hold some',
    );
  return new HsmError('hsm-failed', `the HSM refused: ${said}`);
}
