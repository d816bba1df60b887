import { fromHex, toHex } from '../../core/bytes.ts';
import { CodedError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/strict-json.ts';
import { hashByName } from '../../tpm/algorithms.ts';
import { PCR_COUNT } from '../../tpm/pcr-selection.ts';

/** Bank name → PCR → value. */
export type PcrValues = ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>;

export class PcrValuesError extends CodedError<'pcr-values-invalid'> {}

const PCR_INDEX = /^(?:0|[1-9][0-9]?)$/;

/** `{"sha256": {"0": hex}}`. @throws {PcrValuesError} */
export function parsePcrValues(document: JsonValue | undefined): PcrValues {
  return new Map(
    entriesOf(document, 'pcrs').map(([bank, values]) => [bank, new Map(parseBank(bank, values))]),
  );
}

export function encodePcrValues(values: PcrValues): { [bank: string]: { [pcr: string]: string } } {
  return Object.fromEntries([...values].map(([bank, pcrs]) => [bank, encodePcrBank(pcrs)]));
}

export function encodePcrBank(pcrs: ReadonlyMap<number, Uint8Array>): { [pcr: string]: string } {
  return Object.fromEntries([...pcrs].map(([pcr, value]) => [pcr, toHex(value)]));
}

export function parsePcrIndex(text: string): number {
  if (!PCR_INDEX.test(text) || Number(text) >= PCR_COUNT)
    throw new PcrValuesError(
      'pcr-values-invalid',
      `${JSON.stringify(text.slice(0, 20))} is not a PCR number`,
    );
  return Number(text);
}

function parseBank(bank: string, values: JsonValue): [number, Uint8Array][] {
  const size = hashByName(bank)?.size;
  if (size === undefined) return refuse(`bank ${JSON.stringify(bank.slice(0, 20))} is not known`);
  return entriesOf(values, bank).map(([index, value]) => {
    const pcr = parsePcrIndex(index);
    if (typeof value !== 'string' || value.length !== 2 * size)
      return refuse(`PCR ${pcr} is no hex value of ${bank}`);
    return [pcr, fromHex(value)];
  });
}

function entriesOf(document: JsonValue | undefined, what: string): [string, JsonValue][] {
  return isJsonObject(document) ? Object.entries(document) : refuse(`${what}: expected an object`);
}

function refuse(message: string): never {
  throw new PcrValuesError('pcr-values-invalid', message);
}
