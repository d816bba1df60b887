import { toHex } from './bytes.ts';

const CUT = '...';
/** Printable ASCII, and whole code points of everything else. */
const UNPRINTABLE = /[^\x20-\x7e]/gu;

/**
 * Text from outside in a form that drives no terminal and breaks no line (A10): everything but printable
 * ASCII becomes its code point, and a text longer than `maxLength` is cut.
 */
export function toPrintable(untrustedText: string, maxLength = Number.POSITIVE_INFINITY): string {
  const isLong = untrustedText.length > maxLength;
  const text = isLong ? untrustedText.slice(0, maxLength) : untrustedText;
  return `${text.replace(UNPRINTABLE, codePointOf)}${isLong ? CUT : ''}`;
}

/**
 * The same of a text of several lines. Of one that is longer than `maxLength` the beginning is left out: the last lines
 * of a console say what happened.
 */
export function toPrintableLines(untrustedText: string, maxLength: number): string {
  const lines = untrustedText.split(/\r?\n/).map((line) => toPrintable(line.replaceAll('\t', ' ')));
  const text = lines.join('\n').trimEnd();
  return text.length > maxLength ? `${CUT}${text.slice(CUT.length - maxLength)}` : text;
}

function codePointOf(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

const SHORT_DIGITS = 12;

/** The beginning of a digest: enough to tell two apart, short enough for a sentence. */
export function shortHex(bytes: Uint8Array): string {
  return `${toHex(bytes.subarray(0, SHORT_DIGITS / 2))}${bytes.length > SHORT_DIGITS / 2 ? CUT : ''}`;
}
