import type { Handle, PKCS11 } from 'pkcs11js';
import { messageOf } from '../../core/errors.ts';
import { errorOfReturnValue, HsmError } from './pkcs11-error.ts';
import type { Mechanism } from './pkcs11-mechanism.ts';

export type { Handle } from 'pkcs11js';

export interface Attribute {
  readonly type: number;
  readonly value: number | Uint8Array;
}

export interface TokenInfo {
  readonly slot: Handle;
  readonly label: string;
  readonly serial: string;
  /** CKF_… of CK_TOKEN_INFO. */
  readonly flags: number;
}

/** Without it a module may take it that only one thread ever calls. */
const CKF_OS_LOCKING_OK = 0x2;
const CKF_SERIAL_SESSION = 0x4;
const CKU_USER = 1;
const CKR_ATTRIBUTE_SENSITIVE = 0x11;
const CKR_ATTRIBUTE_TYPE_INVALID = 0x12;
const CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191;
const CKR_USER_ALREADY_LOGGED_IN = 0x100;
/** CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS. */
const USER_STATES = [1, 3];
const CK_PARAMS_RSA_PSS = 5;
const MAX_SIGNATURE_BYTES = 1024;

/**
 * The one door to pkcs11js: what we use of PKCS#11, blocking calls only. (Those that do not block hand the
 * module memory that the garbage collector may free meanwhile.) Throws {@link HsmError} and nothing else.
 * Several threads may each have one for the same module: the module is initialized once.
 */
export class Pkcs11Library {
  private readonly module: PKCS11;

  private constructor(module: PKCS11) {
    this.module = module;
  }

  /** @throws {HsmError} `hsm-unavailable` */
  static async load(modulePath: string): Promise<Pkcs11Library> {
    const { PKCS11 } = await importAddOn();
    const module = new PKCS11();
    try {
      module.load(modulePath);
      initialize(module);
    } catch (cause) {
      throw new HsmError(
        'hsm-unavailable',
        `the PKCS#11 module ${modulePath} cannot be used: ${messageOf(cause)}`,
        { cause },
      );
    }
    return new Pkcs11Library(module);
  }

  tokens(): TokenInfo[] {
    return calling('C_GetSlotList', () =>
      this.module.C_GetSlotList(true).flatMap((slot) => this.tokenIn(slot)),
    );
  }

  openSession(slot: Handle): Handle {
    return calling('C_OpenSession', () => this.module.C_OpenSession(slot, CKF_SERIAL_SESSION));
  }

  closeSession(session: Handle): void {
    calling('C_CloseSession', () => this.module.C_CloseSession(session));
  }

  isLoggedIn(session: Handle): boolean {
    return calling('C_GetSessionInfo', () =>
      USER_STATES.includes(this.module.C_GetSessionInfo(session).state),
    );
  }

  /** The whole process is logged in, not this session alone. */
  login(session: Handle, pin: string): void {
    calling('C_Login', () => {
      try {
        this.module.C_Login(session, CKU_USER, pin);
      } catch (cause) {
        if (codeOf(cause) !== CKR_USER_ALREADY_LOGGED_IN) throw cause;
      }
    });
  }

  find(session: Handle, having: readonly Attribute[], atMost: number): Handle[] {
    return calling('C_FindObjects', () => {
      this.module.C_FindObjectsInit(session, having.map(toNative));
      try {
        return this.module.C_FindObjects(session, atMost);
      } finally {
        this.module.C_FindObjectsFinal(session);
      }
    });
  }

  /** @returns undefined for what the object has not or does not show */
  attribute(session: Handle, object: Handle, type: number): Uint8Array | undefined {
    return calling('C_GetAttributeValue', () => {
      try {
        return this.module.C_GetAttributeValue(session, object, [{ type }])[0]?.value;
      } catch (cause) {
        const code = codeOf(cause);
        if (code === CKR_ATTRIBUTE_TYPE_INVALID || code === CKR_ATTRIBUTE_SENSITIVE) return undefined;
        throw cause;
      }
    });
  }

  /** PKCS#11 modules take no empty data. */
  sign(session: Handle, with_: { key: Handle; mechanism: Mechanism; data: Uint8Array }): Uint8Array {
    return calling('C_Sign', () => {
      this.module.C_SignInit(session, nativeMechanism(with_.mechanism), with_.key);
      return this.module.C_Sign(session, bufferOf(with_.data), Buffer.alloc(MAX_SIGNATURE_BYTES));
    });
  }

  /** Nothing, when the token was pulled between the two calls. */
  private tokenIn(slot: Handle): TokenInfo[] {
    try {
      const { label, serialNumber, flags } = this.module.C_GetTokenInfo(slot);
      return [{ slot, flags, label: label.trimEnd(), serial: serialNumber.trimEnd() }];
    } catch {
      return [];
    }
  }
}

/** How the add-on throws a CK_RV other than CKR_OK: Pkcs11Error. */
interface ReturnValueError {
  readonly message: string;
  readonly code: number;
}

async function importAddOn(): Promise<typeof import('pkcs11js')> {
  try {
    return (await import('pkcs11js')).default;
  } catch (cause) {
    throw new HsmError(
      'hsm-unavailable',
      'the add-on for HSMs (pkcs11js) is not built here: install g++, make and python3, then "npm run build:hsm"',
      { cause },
    );
  }
}

function initialize(module: PKCS11): void {
  try {
    module.C_Initialize({ flags: CKF_OS_LOCKING_OK });
  } catch (cause) {
    if (codeOf(cause) !== CKR_CRYPTOKI_ALREADY_INITIALIZED) throw cause;
  }
}

function calling<Value>(during: string, action: () => Value): Value {
  try {
    return action();
  } catch (cause) {
    const { message, code } = cause as Partial<ReturnValueError>;
    if (typeof code !== 'number' || code === 0)
      throw new HsmError('hsm-failed', `${during} of the PKCS#11 module failed: ${messageOf(cause)}`);
    throw errorOfReturnValue({ name: message ?? String(code), code, during });
  }
}

function codeOf(cause: unknown): unknown {
  return (cause as Partial<ReturnValueError>).code;
}

function toNative({ type, value }: Attribute) {
  return { type, value: typeof value === 'number' ? value : bufferOf(value) };
}

function nativeMechanism({ type, pss }: Mechanism) {
  if (pss === undefined) return { mechanism: type };
  const parameter = { type: CK_PARAMS_RSA_PSS, hashAlg: pss.hash, mgf: pss.mgf, saltLen: pss.saltBytes };
  return { mechanism: type, parameter };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
