import type { KeySelector, TokenSelector } from './key-reference.ts';
import type { HsmErrorCode } from './pkcs11-error.ts';
import type { HsmAlgorithm } from './pkcs11-mechanism.ts';

/** What a thread that holds one session is asked; each is answered once, in order. */
export type Pkcs11Request =
  /** A new session; whatever was open before is closed. */
  | { readonly op: 'connect'; readonly modulePath: string; readonly token: TokenSelector }
  | { readonly op: 'is-logged-in' }
  | { readonly op: 'login'; readonly pin: string }
  | { readonly op: 'find-key'; readonly key: KeySelector }
  | ({ readonly op: 'sign' } & SignRequest)
  | { readonly op: 'disconnect' };

export interface SignRequest {
  readonly key: KeySelector;
  /** SubjectPublicKeyInfo, hex: what the key must still be, and what the signature must verify with. */
  readonly spki: string;
  readonly algorithm: HsmAlgorithm;
  readonly message: Uint8Array;
}

export interface Pkcs11Answers {
  connect: TokenState;
  'is-logged-in': boolean;
  login: undefined;
  /** SubjectPublicKeyInfo, hex. */
  'find-key': string;
  sign: Uint8Array;
  disconnect: undefined;
}

export interface TokenState {
  readonly label: string;
  readonly serial: string;
  readonly needsLogin: boolean;
  readonly pin: 'ok' | 'tries-few' | 'last-try' | 'locked' | 'not-set';
}

export type Pkcs11Reply =
  | { readonly answer: Pkcs11Answers[keyof Pkcs11Answers] }
  | { readonly error: { readonly code: HsmErrorCode; readonly message: string } };
