import { asciiBytes, toBase64, toHex, utf8Bytes } from '../../src/core/bytes.ts';
import { mutateBytes } from './mutate-bytes.ts';
import type { Random } from './random.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A member of an array or object, where it stands. */
interface Place {
  holder: { [key: string]: Json };
  key: string;
  value: Json;
}

const HEX = /^(?:[0-9a-f]{2})+$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const VALUES = [
  null,
  true,
  0,
  -1,
  1,
  0.5,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  1e21,
  '',
  '0',
  'constructor',
  '__proto__',
  '../..',
  '\u0000',
  '\ud800',
  'é',
  'a'.repeat(3000),
] as const satisfies readonly Json[];
/** What JSON.stringify never writes. */
const SNIPPETS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '1e999',
  '-0',
  '1E0',
  '18446744073709551615',
  '9007199254740993',
  '"__proto__":{},',
  '\ufeff',
  '\u00a0',
  ' '.repeat(200),
  '['.repeat(200),
  '{"a":'.repeat(200),
  '\\"'.repeat(200),
] as const;

/**
 * Changes a document as a document, so that most of it stays readable: members go, come, change type, and
 * what is hex or base64 is changed as the bytes that it stands for. Now and then the text itself is torn.
 */
export function mutateJson(input: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  if (random.chance(0.15)) return mutateBytes(input, random, other);
  const document = readLoosely(input);
  if (document === undefined) return mutateBytes(input, random, other);
  for (let left = 1 + random.below(3); left > 0; left -= 1) changeSomewhere(document, random);
  const text = JSON.stringify(document.root, null, random.pick([0, 1, '\t']));
  return utf8Bytes(random.chance(0.2) ? tear(text, random) : text);
}

/** Under one member, so that the document itself can be replaced too. */
function readLoosely(input: Uint8Array): { root: Json } | undefined {
  try {
    return { root: JSON.parse(Buffer.from(input).toString()) };
  } catch {
    return undefined;
  }
}

function changeSomewhere(document: { root: Json }, random: Random): void {
  const places = placesOf(document);
  const place = places[random.below(places.length)];
  const donor = places[random.below(places.length)];
  if (place === undefined || donor === undefined) return;
  const { holder, key, value } = place;
  switch (random.below(8)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else if (key !== 'root') delete holder[key];
      return;
    case 1:
      holder[key] = random.pick(VALUES);
      return;
    case 2:
      holder[key] = structuredClone(donor.value);
      return;
    case 3:
      addMember(value, donor, random);
      return;
    case 4:
      holder[key] = random.chance(0.5) ? [value] : { [donor.key]: value };
      return;
    default:
      holder[key] = alter(value, random);
  }
}

function addMember(value: Json, donor: Place, random: Random): void {
  if (Array.isArray(value)) value.push(structuredClone(donor.value));
  else if (typeof value === 'object' && value !== null)
    value[random.chance(0.5) ? donor.key : `x${random.below(10)}`] = structuredClone(donor.value);
}

function alter(value: Json, random: Random): Json {
  if (typeof value === 'number') return value + random.below(5) - 2;
  if (typeof value === 'boolean') return !value;
  if (typeof value !== 'string') return random.pick(VALUES);
  const change = (bytes: Uint8Array) => mutateBytes(bytes, random, bytes);
  if (HEX.test(value)) return toHex(change(Buffer.from(value, 'hex')));
  if (BASE64.test(value)) return toBase64(change(Buffer.from(value, 'base64')));
  return Buffer.from(change(asciiBytes(value))).toString('latin1');
}

function placesOf(root: { [key: string]: Json }): Place[] {
  const places: Place[] = [];
  const visit = (holder: { [key: string]: Json }): void => {
    for (const [key, value] of Object.entries(holder)) {
      places.push({ holder, key, value });
      if (typeof value === 'object' && value !== null) visit(value as { [key: string]: Json });
    }
  };
  visit(root);
  return places;
}

function tear(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const resume = random.chance(0.5) ? at : Math.min(text.length, at + random.below(20));
  return text.slice(0, at) + random.pick(SNIPPETS) + text.slice(resume);
}
