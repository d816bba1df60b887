import { isAbsolute } from 'node:path';
import { toHex } from '../../core/bytes.ts';
import { CodedError } from '../../core/errors.ts';

/** Where a private key is, as an operator writes it: a configuration, a command line. Never how to open it. */
export type KeyReference = KeyFileReference | Pkcs11Reference | HookReference;

/** `file:PATH`: an encrypted key file (encrypted-key.ts). */
export interface KeyFileReference {
  readonly kind: 'file';
  readonly path: string;
}

/**
 * `pkcs11:token=LABEL;object=LABEL;id=%01?module-path=/usr/lib/….so`: what of RFC 7512 names one key. The
 * token by label, serial number or both; the key by label, id or both.
 */
export interface Pkcs11Reference {
  readonly kind: 'pkcs11';
  readonly modulePath: string;
  readonly token: TokenSelector;
  readonly key: KeySelector;
  /** `pin-source=file:PATH`: the PIN is the first line of that file. */
  readonly pinFile?: string;
}

export interface TokenSelector {
  readonly label?: string;
  readonly serial?: string;
}

export interface KeySelector {
  readonly label?: string;
  /** CKA_ID, hex. */
  readonly id?: string;
}

/** `hook:PATH`: a program that signs (command-hook.ts). */
export interface HookReference {
  readonly kind: 'hook';
  readonly path: string;
}

export class KeyReferenceError extends CodedError<'key-reference-invalid'> {
  constructor(message: string) {
    super('key-reference-invalid', message);
  }
}

const MAX_LENGTH = 2048;
const CONTROL = /[\0-\x1f\x7f]/;

/**
 * Errors name attributes and never quote the text: someone may have written a PIN into it.
 *
 * @throws {KeyReferenceError}
 */
export function parseKeyReference(text: string): KeyReference {
  if (text.length > MAX_LENGTH) throw refused(`a key reference has at most ${MAX_LENGTH} characters`);
  if (CONTROL.test(text)) throw refused('a key reference has no control characters');
  if (text.startsWith('file:')) return { kind: 'file', path: plainPath('file', text.slice(5)) };
  if (text.startsWith('hook:')) return { kind: 'hook', path: absolutePath('hook', text.slice(5)) };
  if (text.startsWith('pkcs11:')) return parsePkcs11(text.slice(7));
  throw refused('a key reference starts with file:, pkcs11: or hook:, for example file:keys/root.key');
}

const PATH_ATTRIBUTES = ['token', 'serial', 'object', 'id', 'type'];
const QUERY_ATTRIBUTES = ['module-path', 'pin-source'];

function parsePkcs11(text: string): Pkcs11Reference {
  if (/pin-value/i.test(text))
    throw refused(
      'pin-value does not belong into a key reference, which others can read: use pin-source=file:PATH, ' +
        'and change that PIN if the reference was ever stored or typed',
    );
  const [path = '', query = '', ...rest] = text.split('?');
  if (rest.length > 0) throw refused('a pkcs11: reference has one "?", before module-path');
  const named = attributesOf({ text: path, separator: ';', known: PATH_ATTRIBUTES });
  const asked = attributesOf({ text: query, separator: '&', known: QUERY_ATTRIBUTES });
  if (named.has('type') && textOf(named, 'type') !== 'private')
    throw refused('a pkcs11: reference names a private key: type=private, or no type');
  const modulePath = textOf(asked, 'module-path');
  if (modulePath === undefined)
    throw refused('a pkcs11: reference ends with ?module-path= and the path of the PKCS#11 module');
  const pinSource = textOf(asked, 'pin-source');
  return {
    kind: 'pkcs11',
    modulePath: absolutePath('module-path', modulePath),
    token: tokenSelector(named),
    key: keySelector(named),
    ...(pinSource === undefined ? {} : { pinFile: pinFileOf(pinSource) }),
  };
}

function tokenSelector(named: Attributes): TokenSelector {
  const label = textOf(named, 'token');
  const serial = textOf(named, 'serial');
  if (label === undefined && serial === undefined)
    throw refused('a pkcs11: reference says which token: token=LABEL, or serial=NUMBER');
  return { ...(label === undefined ? {} : { label }), ...(serial === undefined ? {} : { serial }) };
}

function keySelector(named: Attributes): KeySelector {
  const label = textOf(named, 'object');
  const id = named.get('id');
  if (label === undefined && id === undefined)
    throw refused('a pkcs11: reference says which key: object=LABEL, or id=%01');
  return { ...(label === undefined ? {} : { label }), ...(id === undefined ? {} : { id: toHex(id) }) };
}

function pinFileOf(source: string): string {
  if (!source.startsWith('file:'))
    throw refused('pin-source is file: and an absolute path; a program is not run');
  return absolutePath('pin-source', source.slice(5));
}

type Attributes = ReadonlyMap<string, Uint8Array>;

/** RFC 7512 section 2.3; an attribute that we would have to ignore is refused: it may be what tells two keys apart. */
function attributesOf(from: { text: string; separator: string; known: readonly string[] }): Attributes {
  const attributes = new Map<string, Uint8Array>();
  for (const part of from.text === '' ? [] : from.text.split(from.separator)) {
    const equals = part.indexOf('=');
    const name = part.slice(0, equals);
    if (equals < 0 || !from.known.includes(name))
      throw refused(`this part of a pkcs11: reference knows only ${from.known.join(', ')}, each with "="`);
    if (attributes.has(name)) throw refused(`${name} is there twice`);
    attributes.set(name, percentDecode(name, part.slice(equals + 1)));
  }
  return attributes;
}

/** pk11-pchar and pk11-qchar of RFC 7512 section 2.3, without the separators. */
const VALUE = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=/]|%[0-9A-Fa-f]{2})+$/;

function percentDecode(name: string, value: string): Uint8Array {
  if (!VALUE.test(value))
    throw refused(`${name} is empty or has a character that must be written as % and two hex digits`);
  const bytes = value.replaceAll(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

function textOf(attributes: Attributes, name: string): string | undefined {
  const bytes = attributes.get(name);
  if (bytes === undefined) return undefined;
  const text = Buffer.from(bytes).toString('utf8');
  if (text.includes('�') || CONTROL.test(text)) throw refused(`${name} is not printable UTF-8`);
  return text;
}

function plainPath(name: string, path: string): string {
  if (path === '') throw refused(`${name}: is followed by a path`);
  if (path.startsWith('//')) throw refused(`${name}: is followed by a path, without "//"`);
  return path;
}

function absolutePath(name: string, path: string): string {
  if (!isAbsolute(plainPath(name, path))) throw refused(`${name} needs an absolute path`);
  return path;
}

function refused(message: string): KeyReferenceError {
  return new KeyReferenceError(message);
}
