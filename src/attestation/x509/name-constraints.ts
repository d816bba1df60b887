import { toHex } from '../../core/bytes.ts';
import { childrenOf, type DerElement, DerError, expectTag, sequenceOf, TAG } from './x509-der.ts';
import { type DistinguishedName, type GeneralName, isWithin, readGeneralName } from './x509-names.ts';

/** RFC 5280, section 4.2.1.10. */
export interface NameConstraints {
  permitted: readonly GeneralName[];
  excluded: readonly GeneralName[];
}

/** What a certificate calls its subject. */
export interface SubjectNames {
  subjectName: DistinguishedName;
  alternativeNames: readonly GeneralName[];
}

const PERMITTED = 0xa0;
const EXCLUDED = 0xa1;

/** @throws {DerError} also for minimum and maximum, which the profile forbids */
export function readNameConstraints(der: Uint8Array): NameConstraints {
  const parts = sequenceOf(der);
  const tags = parts.map(({ tag }) => tag);
  if (!['160', '161', '160,161'].includes(tags.join()))
    throw new DerError('name constraints without subtrees');
  const subtrees = (tag: number) => parts.filter((part) => part.tag === tag).flatMap(readSubtrees);
  return { permitted: subtrees(PERMITTED), excluded: subtrees(EXCLUDED) };
}

function readSubtrees(part: DerElement): GeneralName[] {
  const bases = childrenOf(part).map((subtree) => {
    const [base, ...bounds] = childrenOf(expectTag(subtree, TAG.sequence));
    if (base === undefined || bounds.length > 0) throw new DerError('a subtree with minimum or maximum');
    return readGeneralName(base);
  });
  if (bases.length === 0) throw new DerError('an empty list of subtrees');
  if (bases.some((base) => base.form === 'ip' && !isAddressRange(base.bytes)))
    throw new DerError('an IP address constraint that is no address and mask');
  return bases;
}

/**
 * Why the names of `subject` break the constraints; `undefined` when they don't. Each CA's constraints are
 * judged alone, which gives the intersection and union of section 6.1.4 (g). A form that we cannot compare
 * breaks them as soon as both sides have it.
 */
export function nameConstraintBreach(
  constraints: NameConstraints,
  subject: SubjectNames,
): string | undefined {
  for (const name of constrainedNames(subject)) {
    const sameForm = (base: GeneralName) => formOf(base) === formOf(name);
    if (constraints.excluded.some((base) => sameForm(base) && isExcluded(name, base)))
      return `${show(name)} is excluded`;
    const permitted = constraints.permitted.filter(sameForm);
    if (permitted.length > 0 && !permitted.some((base) => isPermitted(name, base)))
      return `${show(name)} is not permitted`;
  }
  return undefined;
}

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

/** Section 4.2.1.10: the subject too, and e-mail addresses in it when no alternative name has one. */
function constrainedNames({ subjectName, alternativeNames }: SubjectNames): GeneralName[] {
  const hasEmail = alternativeNames.some(({ form }) => form === 'email');
  const inSubject = subjectName.attributes.filter(({ oid }) => oid === EMAIL_ADDRESS && !hasEmail);
  return [
    ...(subjectName.canonical.length > 0 ? [{ form: 'directory' as const, name: subjectName }] : []),
    ...alternativeNames,
    ...inSubject.map(({ value }) => ({ form: 'email' as const, text: value })),
  ];
}

const formOf = (name: GeneralName) => (name.form === 'other' ? name.tag : name.form);

/** What we cannot read, or not compare, is inside whatever is excluded and outside whatever is permitted. */
const isExcluded = (name: GeneralName, base: GeneralName) => isInside(name, base) ?? true;
const isPermitted = (name: GeneralName, base: GeneralName) => isInside(name, base) ?? false;

function isInside(name: GeneralName, base: GeneralName): boolean | undefined {
  if (name.form === 'directory' && base.form === 'directory') return isWithin(name.name, base.name);
  if (name.form === 'ip' && base.form === 'ip') return isInRange(name.bytes, base.bytes);
  if (name.form === 'dns' && base.form === 'dns') return isDnsInside(name.text, base.text);
  if (name.form === 'email' && base.form === 'email') return isEmailInside(name.text, base.text);
  if (name.form === 'uri' && base.form === 'uri') return isUriInside(name.text, base.text);
  return undefined;
}

const HOST = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;

/** The base itself and everything below it; an empty base is everything. */
function isDnsInside(text: string, baseText: string): boolean | undefined {
  const [name, base] = [text.toLowerCase().replace(/^\*\./, ''), baseText.toLowerCase()];
  if (!HOST.test(name) || (base !== '' && !HOST.test(base))) return undefined;
  return base === '' || name === base || name.endsWith(`.${base}`);
}

/** `a@host`: that mailbox; `host`: mailboxes on it; `.domain`: mailboxes on hosts below it. */
function isEmailInside(text: string, base: string): boolean | undefined {
  const at = text.indexOf('@');
  const [local, host] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1 || !HOST.test(host.toLowerCase())) return undefined;
  if (!base.includes('@')) return isHostInside(host, base);
  const baseAt = base.lastIndexOf('@');
  return local === base.slice(0, baseAt) && host.toLowerCase() === base.slice(baseAt + 1).toLowerCase();
}

/** `host` is that host only, `.domain` hosts below it; an IP address as host cannot be constrained. */
function isUriInside(text: string, base: string): boolean | undefined {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^@/?#]*@)?([^:/?#@[\]]+)(?::\d*)?(?:[/?#].*)?$/i.exec(text)?.[1];
  if (host === undefined || !/[a-z]/i.test(host)) return undefined;
  return isHostInside(host, base);
}

function isHostInside(host: string, base: string): boolean | undefined {
  const [name, below] = [host.toLowerCase(), base.toLowerCase()];
  if (!HOST.test(name) || !HOST.test(below.replace(/^\./, ''))) return undefined;
  return below.startsWith('.') ? name.endsWith(below) : name === below;
}

function isInRange(address: Uint8Array, range: Uint8Array): boolean | undefined {
  if (address.length !== 4 && address.length !== 16) return undefined;
  if (2 * address.length !== range.length) return false;
  const mask = numberOf(range.subarray(address.length));
  return (numberOf(address) & mask) === (numberOf(range.subarray(0, address.length)) & mask);
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}

/** Address and mask, the mask with no hole in it (RFC 4632). */
function isAddressRange(bytes: Uint8Array): boolean {
  if (bytes.length !== 8 && bytes.length !== 32) return false;
  const mask = [...bytes.subarray(bytes.length / 2)]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(mask);
}

function show(name: GeneralName): string {
  switch (name.form) {
    case 'directory':
      return `the name ${name.name.attributes.map(({ value }) => value).join(', ')}`;
    case 'ip':
      return `the address ${[...name.bytes].join('.')}`;
    case 'other':
      return `a name of the form 0x${name.tag.toString(16)}`;
    default:
      return `the name ${name.text}`;
  }
}
