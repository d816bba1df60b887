import { bytesEqual, toHex } from '../../core/bytes.ts';
import type { VerifiedQuote } from '../quote/quote.ts';
import type { Finding } from '../reasons.ts';

/** What one PCR may hold. */
export interface ReferenceValue {
  pcr: number;
  accepted: readonly Uint8Array[];
}

/** What starting one image may leave: PCR 4 is what firmware started, PCR 11 what that image found in itself. */
export interface Stage0Values {
  pcr4: readonly Uint8Array[];
  pcr11: readonly Uint8Array[];
  /** It keeps none, and the node has one. */
  floor?: false;
}

/** A reference that cannot be compared refuses: an empty list or an unquoted PCR is never "anything goes". */
export function checkReferenceValues(quote: VerifiedQuote, references: readonly ReferenceValue[]): Finding[] {
  return references.flatMap((reference) => checkReference(quote.pcrs.get(reference.pcr), reference));
}

function checkReference(value: Uint8Array | undefined, { pcr, accepted }: ReferenceValue): Finding[] {
  if (value === undefined) return [unquoted(pcr)];
  if (accepted.length === 0)
    return [{ code: 'reference-unusable', message: `PCR ${pcr}: policy accepts no value` }];
  if (isOneOf(accepted, value)) return [];
  const expected = accepted.slice(0, 3).map(toHex).join(' or ');
  const others = accepted.length > 3 ? ' or others' : '';
  return [{ code: 'pcr-mismatch', message: `PCR ${pcr} is ${toHex(value)}: expected ${expected}${others}` }];
}

/** Both must be of one and the same image, which they are of none when there is none. */
export function checkStage0Values(quote: VerifiedQuote, images: readonly Stage0Values[]): Finding[] {
  const pcr4 = quote.pcrs.get(4);
  const pcr11 = quote.pcrs.get(11);
  if (pcr4 === undefined) return [unquoted(4)];
  if (pcr11 === undefined) return [unquoted(11)];
  const started = images.filter((image) => isOneOf(image.pcr4, pcr4) && isOneOf(image.pcr11, pcr11));
  if (started.some(({ floor }) => floor !== false)) return [];
  if (started.length > 0)
    return [{ code: 'floor-missing', message: 'PCR 4 and PCR 11 are of a stage-0 that keeps no floor' }];
  const what = `PCR 4 is ${toHex(pcr4)}, PCR 11 is ${toHex(pcr11)}`;
  return [
    {
      code: 'stage0-not-listed',
      message: `${what}: expected what one listed stage-0 leaves in both of them`,
    },
  ];
}

function unquoted(pcr: number): Finding {
  return {
    code: 'reference-unusable',
    message: `PCR ${pcr}: policy refers to it, but it is not quoted`,
  };
}

function isOneOf(accepted: readonly Uint8Array[], value: Uint8Array): boolean {
  return accepted.some((candidate) => bytesEqual(candidate, value));
}
