import { bytesEqual, toHex } from '../../core/bytes.ts';
import type { VerifiedQuote } from '../quote/quote.ts';
import type { Finding, RefusalCode } from '../reasons.ts';

/** What one PCR may hold. */
export interface ReferenceValue {
  pcr: number;
  accepted: readonly Uint8Array[];
  /** `pcr-mismatch` unless told. */
  code?: RefusalCode;
  /** Ends the sentence "PCR 4 is …:". */
  message?: string;
}

/** A reference that cannot be compared refuses: an empty list or an unquoted PCR is never "anything goes". */
export function checkReferenceValues(quote: VerifiedQuote, references: readonly ReferenceValue[]): Finding[] {
  return references.flatMap((reference) => checkReference(quote.pcrs.get(reference.pcr), reference));
}

function checkReference(value: Uint8Array | undefined, reference: ReferenceValue): Finding[] {
  const { pcr, accepted, code = 'pcr-mismatch' } = reference;
  if (value === undefined || accepted.length === 0)
    return [
      {
        code: 'reference-unusable',
        message: `PCR ${pcr}: ${value === undefined ? 'policy refers to it, but it is not quoted' : 'policy accepts no value'}`,
      },
    ];
  if (accepted.some((candidate) => bytesEqual(candidate, value))) return [];
  const expected = accepted.slice(0, 3).map(toHex).join(' or ');
  const message = reference.message ?? `expected ${expected}${accepted.length > 3 ? ' or others' : ''}`;
  return [{ code, message: `PCR ${pcr} is ${toHex(value)}: ${message}` }];
}
