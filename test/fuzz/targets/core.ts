import { isDeepStrictEqual } from 'node:util';
import {
  fromBase64,
  fromBase64Url,
  fromHex,
  toBase64,
  toBase64Url,
  toHex,
  utf8Bytes,
} from '../../../src/core/bytes.ts';
import { parseStrictJson } from '../../../src/core/strict-json.ts';
import { corpusFiles } from '../corpora.ts';
import { MAX_INPUT_BYTES } from '../examine.ts';
import { type FuzzTarget, Violation } from '../target.ts';

const DOCUMENT = {
  text: 'é "quoted" \\ \u0001 \u{1f600}',
  numbers: [0, -1, 0.5, 1e-7, 2 ** 53 - 1],
  nested: { deeper: [[], {}, [null, true, false]] },
};

export const CORE_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'strict-json',
    format: 'json',
    prepare: () => ({
      seeds: [utf8Bytes(JSON.stringify(DOCUMENT)), ...corpusFiles('nst/JSONTestSuite/test_parsing', '.json')],
      examine: (input) => {
        const value = parseStrictJson(input, { maxBytes: MAX_INPUT_BYTES });
        requireStandardReading(input, value);
        return value;
      },
    }),
  },
  {
    name: 'encodings',
    format: 'bytes',
    prepare: () => ({
      seeds: ['00ff7a', 'AP96', 'AP8=', '_-8', ''].map(utf8Bytes),
      examine: examineEncodings,
    }),
  },
];

/** Whatever we read, every reader of JSON reads, and sees the same in it. */
function requireStandardReading(input: Uint8Array, value: unknown): void {
  const standard: unknown = JSON.parse(Buffer.from(input).toString());
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(value)), standard))
    throw new Violation('JSON.parse reads another document');
}

/** One value has one spelling, in each of the three. */
function examineEncodings(input: Uint8Array): unknown {
  const text = Buffer.from(input).toString('latin1');
  const codecs = [
    { decode: fromHex, encode: toHex },
    { decode: fromBase64, encode: toBase64 },
    { decode: fromBase64Url, encode: toBase64Url },
  ];
  const refusals = codecs.map(({ decode, encode }) => {
    try {
      if (encode(decode(text)) !== text) throw new Violation(`${decode.name} takes a second spelling`);
      return undefined;
    } catch (cause) {
      return cause;
    }
  });
  const refusal = refusals.find((cause) => cause !== undefined);
  if (refusal !== undefined) throw refusal;
  return text;
}
