import { createPublicKey, type KeyObject } from 'node:crypto';
import { fromHex, toHex, utf8Bytes } from '../../core/bytes.ts';
import type { KeySelector, TokenSelector } from './key-reference.ts';
import { HsmError } from './pkcs11-error.ts';
import type { Attribute, Handle, Pkcs11Library, TokenInfo } from './pkcs11-library.ts';
import { MECHANISMS } from './pkcs11-mechanism.ts';
import type { SignRequest, TokenState } from './pkcs11-messages.ts';
import { CKA, CKO, readPublicKey } from './pkcs11-public-key.ts';

interface FoundKey {
  readonly handle: Handle;
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, hex. */
  readonly spki: string;
}

/** One session with one token, and the keys found in it. Blocks. Throws {@link HsmError}. */
export class Pkcs11Session {
  readonly token: TokenState;
  private readonly library: Pkcs11Library;
  private readonly session: Handle;
  private readonly found = new Map<string, FoundKey>();

  /** @throws {HsmError} `hsm-token-missing`, `hsm-gone` */
  constructor(library: Pkcs11Library, wanted: TokenSelector) {
    const info = requireOneToken(library.tokens(), wanted);
    this.library = library;
    this.token = stateOf(info);
    this.session = library.openSession(info.slot);
  }

  isLoggedIn(): boolean {
    return this.library.isLoggedIn(this.session);
  }

  login(pin: string): void {
    this.library.login(this.session, pin);
  }

  close(): void {
    this.library.closeSession(this.session);
  }

  /**
   * The one private key that answers to this, with the public half that the token tells of it.
   *
   * @throws {HsmError} `hsm-key-missing`, `hsm-key-unsuitable`
   */
  findKey(wanted: KeySelector): FoundKey {
    const handle = requireOne(this.find(CKO.PRIVATE_KEY, wanted), wanted, this.token);
    this.requireKept(handle, wanted);
    const publicKey = this.publicHalfOf(handle, wanted);
    const spki = toHex(publicKey.export({ type: 'spki', format: 'der' }));
    return { handle, publicKey, spki };
  }

  /**
   * A signature is answered only if it verifies with the key that was asked for: handles are numbers, and
   * after a token was restored from a backup they, labels and ids may stand for something else.
   *
   * @throws {HsmError} `hsm-key-changed`, `hsm-signature-wrong`
   */
  sign({ key: wanted, spki, algorithm, message }: SignRequest): Uint8Array {
    const key = this.rememberedKey(wanted);
    if (key.spki !== spki)
      throw new HsmError(
        'hsm-key-changed',
        `${describe(wanted)} in ${this.token.label} is another key than before: was the token restored or replaced?`,
      );
    const row = MECHANISMS[algorithm];
    const { mechanism, input } = row;
    const raw = this.library.sign(this.session, { key: key.handle, mechanism, data: input(message) });
    const signature = row.encode(raw);
    if (row.verify(message, key.publicKey, signature)) return signature;
    this.found.clear();
    throw new HsmError(
      'hsm-signature-wrong',
      `${this.token.label} answered with a signature that is not by ${describe(wanted)}; nothing was signed. ` +
        'See that private and public key in the token belong together',
    );
  }

  private rememberedKey(wanted: KeySelector): FoundKey {
    const name = JSON.stringify([wanted.label, wanted.id]);
    const known = this.found.get(name);
    if (known !== undefined) return known;
    const key = this.findKey(wanted);
    this.found.set(name, key);
    return key;
  }

  /** Whoever has the PIN could carry such a key away: a file with a passphrase says so more honestly. */
  private requireKept(handle: Handle, wanted: KeySelector): void {
    const flag = (type: number) => this.library.attribute(this.session, handle, type)?.[0];
    if (flag(CKA.EXTRACTABLE) !== 0 || flag(CKA.SENSITIVE) !== 1)
      throw new HsmError(
        'hsm-key-unsuitable',
        `${describe(wanted)} can be read out of ${this.token.label}: make a key that is sensitive and not extractable`,
      );
    if (flag(CKA.ALWAYS_AUTHENTICATE) === 1)
      throw new HsmError(
        'hsm-key-unsuitable',
        `${describe(wanted)} wants the PIN for each signature, which nobody is there to give`,
      );
  }

  private publicHalfOf(handle: Handle, wanted: KeySelector): KeyObject {
    const told = [CKO.PRIVATE_KEY, CKO.PUBLIC_KEY, CKO.CERTIFICATE].flatMap((objectClass) => {
      const objects =
        objectClass === CKO.PRIVATE_KEY ? [handle] : this.find(objectClass, this.idOf(handle, wanted));
      const keys = objects.map((object) => readPublicKey(objectClass, this.reader(object)));
      return keys.filter((key) => key !== undefined);
    });
    const [first, ...others] = told;
    if (first === undefined)
      throw new HsmError(
        'hsm-key-unsuitable',
        `${this.token.label} has no public key or certificate beside ${describe(wanted)} of a kind that we use ` +
          '(Ed25519, P-256, RSA): put it there under the same id',
      );
    if (others.every((other) => other.equals(first))) return first;
    throw new HsmError(
      'hsm-key-unsuitable',
      `${this.token.label} has public keys that differ for ${describe(wanted)}: leave the one that belongs to it`,
    );
  }

  /** Public key and certificate belong to a private key by CKA_ID, where it has one. */
  private idOf(handle: Handle, wanted: KeySelector): KeySelector {
    const id = this.library.attribute(this.session, handle, CKA.ID);
    return id === undefined || id.length === 0 ? wanted : { id: toHex(id) };
  }

  private find(objectClass: number, wanted: KeySelector): Handle[] {
    const having: Attribute[] = [{ type: CKA.CLASS, value: objectClass }];
    if (wanted.label !== undefined) having.push({ type: CKA.LABEL, value: utf8Bytes(wanted.label) });
    if (wanted.id !== undefined) having.push({ type: CKA.ID, value: fromHex(wanted.id) });
    return this.library.find(this.session, having, 4);
  }

  private reader(object: Handle) {
    return (type: number) => this.library.attribute(this.session, object, type);
  }
}

/** @param spki hex */
export function publicKeyOfSpki(spki: string): KeyObject {
  return createPublicKey({ key: Buffer.from(fromHex(spki)), format: 'der', type: 'spki' });
}

function requireOneToken(tokens: readonly TokenInfo[], { label, serial }: TokenSelector): TokenInfo {
  const matching = tokens.filter(
    (token) =>
      (label === undefined || token.label === label) && (serial === undefined || token.serial === serial),
  );
  const [first, second] = matching;
  if (first !== undefined && second === undefined) return first;
  const name = [label, serial].filter((part) => part !== undefined).join(', serial number ');
  if (first === undefined)
    throw new HsmError(
      'hsm-token-missing',
      `there is no token ${name}: is it plugged in, and the module the right one?`,
    );
  const serials = matching.map((token) => token.serial).join(', ');
  throw new HsmError(
    'hsm-token-missing',
    `several tokens are called ${name}: add serial=, one of ${serials}`,
  );
}

function requireOne(handles: readonly Handle[], wanted: KeySelector, { label }: TokenState): Handle {
  const [first, second] = handles;
  if (first === undefined)
    throw new HsmError('hsm-key-missing', `${label} has no private key ${describe(wanted)}`);
  if (second === undefined) return first;
  throw new HsmError(
    'hsm-key-missing',
    `${label} has several private keys ${describe(wanted)}: name both object and id`,
  );
}

function describe({ label, id }: KeySelector): string {
  return [label === undefined ? '' : `"${label}"`, id === undefined ? '' : `id ${id}`]
    .filter(Boolean)
    .join(', ');
}

/** CKF_… of CK_TOKEN_INFO, PKCS#11 2.40 section 3.2. */
const LOGIN_REQUIRED = 0x4;
const USER_PIN_INITIALIZED = 0x8;
const USER_PIN_COUNT_LOW = 0x10000;
const USER_PIN_FINAL_TRY = 0x20000;
const USER_PIN_LOCKED = 0x40000;

function stateOf({ label, serial, flags }: TokenInfo): TokenState {
  return { label, serial, needsLogin: (flags & LOGIN_REQUIRED) !== 0, pin: pinState(flags) };
}

function pinState(flags: number): TokenState['pin'] {
  if ((flags & USER_PIN_LOCKED) !== 0) return 'locked';
  if ((flags & USER_PIN_FINAL_TRY) !== 0) return 'last-try';
  if ((flags & USER_PIN_COUNT_LOW) !== 0) return 'tries-few';
  return (flags & USER_PIN_INITIALIZED) === 0 ? 'not-set' : 'ok';
}
