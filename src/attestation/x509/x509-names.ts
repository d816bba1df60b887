import { isUtf8 } from 'node:buffer';
import { toHex } from '../../core/bytes.ts';
import {
  childrenOf,
  type DerElement,
  DerError,
  expectTag,
  readDer,
  readOid,
  sequenceOf,
  TAG,
} from './x509-der.ts';

export interface NameAttribute {
  oid: string;
  value: string;
}

/** One relative distinguished name after the other; each holds one attribute or several (RFC 5280, 4.1.2.4). */
export interface DistinguishedName {
  attributes: readonly NameAttribute[];
  /** One text for each RDN: equal texts are equal RDNs (RFC 5280, section 7.1). */
  canonical: readonly string[];
}

/** RFC 5280, section 4.2.1.6: the forms that we know how to compare, and the rest by its tag. */
export type GeneralName =
  | { form: 'email' | 'dns' | 'uri'; text: string }
  | { form: 'directory'; name: DistinguishedName }
  | { form: 'ip'; bytes: Uint8Array }
  | { form: 'other'; tag: number };

export function readName(element: DerElement | undefined): DistinguishedName {
  const rdns = childrenOf(expectTag(element, TAG.sequence)).map((rdn) =>
    childrenOf(expectTag(rdn, TAG.set)).map(readAttribute),
  );
  if (rdns.some((rdn) => rdn.length === 0)) throw new DerError('an empty relative distinguished name');
  return {
    attributes: rdns.flat().map(({ oid, value }) => ({ oid, value })),
    canonical: rdns.map((rdn) => JSON.stringify(rdn.map(({ canonical }) => canonical).sort())),
  };
}

export function readGeneralNames(der: Uint8Array): GeneralName[] {
  const names = sequenceOf(der).map(readGeneralName);
  if (names.length === 0) throw new DerError('no name in an alternative name');
  return names;
}

export function readGeneralName({ tag, content }: DerElement): GeneralName {
  switch (tag) {
    case 0x81:
      return { form: 'email', text: asciiOf(content) };
    case 0x82:
      return { form: 'dns', text: asciiOf(content) };
    case 0x86:
      return { form: 'uri', text: asciiOf(content) };
    case 0x87:
      return { form: 'ip', bytes: content };
    case 0xa4:
      return { form: 'directory', name: readName(readDer(content, TAG.sequence)) };
    case 0xa0:
    case 0xa3:
    case 0xa5:
    case 0x88:
      return { form: 'other', tag };
    default:
      throw new DerError(`a general name with tag 0x${tag.toString(16)}`);
  }
}

export function isSameName(one: DistinguishedName, other: DistinguishedName): boolean {
  return one.canonical.length === other.canonical.length && isWithin(one, other);
}

/** Equal for equal names only: a canonical RDN is JSON and holds no line break. */
export function nameKeyOf({ canonical }: DistinguishedName): string {
  return canonical.join('\n');
}

/** Is `name` in the subtree below `base`? */
export function isWithin(name: DistinguishedName, base: DistinguishedName): boolean {
  return base.canonical.every((rdn, index) => rdn === name.canonical[index]);
}

function readAttribute(element: DerElement): NameAttribute & { canonical: string } {
  const [type, content, ...more] = childrenOf(expectTag(element, TAG.sequence));
  if (content === undefined || more.length > 0) throw new DerError('not a name attribute');
  const oid = readOid(type);
  const text = textOf(content);
  const compared = text?.trim().replaceAll(/\s+/g, ' ').toLowerCase() ?? `#${toHex(content.whole)}`;
  return { oid, value: text ?? `#${toHex(content.whole)}`, canonical: `${oid}=${compared}` };
}

/** The string types of DirectoryString and IA5String; `undefined` for what is no text: it is compared as bytes. */
function textOf({ tag, content }: DerElement): string | undefined {
  const bytes = Buffer.from(content);
  switch (tag) {
    case 0x0c:
      return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
    case 0x13:
    case 0x14:
    case 0x16:
      return bytes.toString('latin1');
    case 0x1e:
      if (bytes.length % 2 !== 0) throw new DerError('a BMPString of odd length');
      return bytes.swap16().toString('utf16le');
    default:
      return undefined;
  }
}

function asciiOf(content: Uint8Array): string {
  if (content.some((byte) => byte > 0x7f)) throw new DerError('a name is not in IA5');
  return Buffer.from(content).toString('latin1');
}
