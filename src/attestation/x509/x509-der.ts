import { toHex } from '../../core/bytes.ts';
import { CodedError } from '../../core/errors.ts';

/** Not DER (ITU-T X.690, clause 10), or not what must stand there. */
export class DerError extends CodedError<'der-invalid'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('der-invalid', message, options);
  }
}

export interface DerElement {
  /** The identifier octet; high tag numbers do not occur in X.509. */
  tag: number;
  content: Uint8Array;
  /** Identifier, length and content: views on the input. */
  whole: Uint8Array;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Exactly one element, nothing behind it. */
export function readDer(bytes: Uint8Array, tag: number): DerElement {
  const element = elementAt(bytes, 0);
  if (element.whole.length !== bytes.length) throw new DerError('bytes behind the element');
  return expectTag(element, tag);
}

export function childrenOf({ content }: DerElement): DerElement[] {
  const children: DerElement[] = [];
  for (let offset = 0; offset < content.length; ) {
    const child = elementAt(content, offset);
    children.push(child);
    offset += child.whole.length;
  }
  return children;
}

export function sequenceOf(bytes: Uint8Array): DerElement[] {
  return childrenOf(readDer(bytes, TAG.sequence));
}

export function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag)
    throw new DerError(`tag 0x${tag.toString(16)} expected, 0x${element?.tag.toString(16) ?? '-'} found`);
  return element;
}

export function readBoolean(element: DerElement): boolean {
  const [value] = expectTag(element, TAG.boolean).content;
  if (element.content.length !== 1 || (value !== 0x00 && value !== 0xff)) throw new DerError('not a boolean');
  return value === 0xff;
}

/** Hex of the two's complement; one number has one spelling. */
export function readInteger(element: DerElement | undefined): string {
  const { content } = expectTag(element, TAG.integer);
  const [first, second = 0] = content;
  const isPadded = content.length > 1 && (first === 0x00 ? second < 0x80 : first === 0xff && second >= 0x80);
  if (first === undefined || isPadded) throw new DerError('an integer is not in its shortest form');
  return toHex(content);
}

export function readSmallInteger(element: DerElement | undefined): number {
  const hex = readInteger(element);
  const value = Number.parseInt(hex, 16);
  if (hex.length > 8 || Number.parseInt(hex.slice(0, 2), 16) >= 0x80) throw new DerError(`integer 0x${hex}`);
  return value;
}

export function readOid(element: DerElement | undefined): string {
  const { content } = expectTag(element, TAG.oid);
  const arcs: number[] = [];
  let arc = 0;
  for (const [index, byte] of content.entries()) {
    if (arc === 0 && byte === 0x80) throw new DerError('an object identifier is not in its shortest form');
    arc = arc * 128 + (byte & 0x7f);
    if (!Number.isSafeInteger(arc)) throw new DerError('an object identifier is too large');
    if (byte < 0x80) arcs.push(arc);
    else if (index === content.length - 1) throw new DerError('an object identifier is cut off');
    if (byte < 0x80) arc = 0;
  }
  const [first = Number.NaN, ...rest] = arcs;
  if (Number.isNaN(first)) throw new DerError('an object identifier is empty');
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - 40 * root, ...rest].join('.');
}

/** Named bits (X.680, clause 22): bit 0 is the first. */
export function readBits(bytes: Uint8Array): ReadonlySet<number> {
  const [unused = 8, ...octets] = readDer(bytes, TAG.bitString).content;
  if (unused > 7 || (octets.length === 0 && unused > 0)) throw new DerError('not a bit string');
  const bits = new Set<number>();
  for (const [index, octet] of octets.entries())
    for (let bit = 0; bit < 8; bit += 1) if ((octet & (0x80 >> bit)) !== 0) bits.add(8 * index + bit);
  return bits;
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d\d\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** RFC 5280, section 4.1.2.5: with seconds, in UTC, and two-digit years from 1950 to 2049. */
export function readTime(element: DerElement | undefined): number {
  const isUtcTime = element?.tag === TAG.utcTime;
  const { content } = expectTag(element, isUtcTime ? TAG.utcTime : TAG.generalizedTime);
  const text = Buffer.from(content).toString('latin1');
  const fields = (isUtcTime ? UTC_TIME : GENERALIZED_TIME).exec(text)?.slice(1).map(Number);
  if (fields === undefined) throw new DerError(`time ${JSON.stringify(text)}`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  const fullYear = !isUtcTime ? year : year < 50 ? 2000 + year : 1900 + year;
  const timeMs = Date.UTC(fullYear, month - 1, day, hour, minute, second);
  const spelled = new Date(timeMs).toISOString().replaceAll(/[-:T]|\.000/g, '');
  if (spelled.slice(isUtcTime ? 2 : 0) !== text) throw new DerError(`time ${JSON.stringify(text)}`);
  return timeMs;
}

/** Definite lengths in their shortest form only. */
function elementAt(bytes: Uint8Array, offset: number): DerElement {
  const [tag, form] = [bytes[offset], bytes[offset + 1]];
  if (tag === undefined || form === undefined) throw new DerError('cut off');
  if ((tag & 0x1f) === 0x1f) throw new DerError('a high tag number');
  const lengthBytes = form < 0x80 ? 0 : form - 0x80;
  if (form === 0x80 || lengthBytes > 4) throw new DerError('an indefinite or too long length');
  let length = lengthBytes === 0 ? form : 0;
  for (let index = 0; index < lengthBytes; index += 1)
    length = length * 256 + (bytes[offset + 2 + index] ?? 0);
  if (lengthBytes > 0 && length < Math.max(0x80, 256 ** (lengthBytes - 1)))
    throw new DerError('a length is not in its shortest form');
  const start = offset + 2 + lengthBytes;
  if (start + length > bytes.length) throw new DerError('cut off');
  return {
    tag,
    content: bytes.subarray(start, start + length),
    whole: bytes.subarray(offset, start + length),
  };
}
