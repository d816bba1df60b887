import { concatBytes } from '../../src/core/bytes.ts';
import type { Random } from './random.ts';

type Mutation = (input: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const MAX_STACKED = 4;
const MAX_CHUNK = 64;
/** Where counters and lengths turn: signs, widths, allocation sizes. */
const EDGES = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000] as const;
const WIDE_EDGES = [0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff, 0x4000_0000] as const;

/** Some small changes of binary input: bits, integers of each width and order, chunks, cuts, crossings. */
export function mutateBytes(input: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let out = input;
  for (let left = 1 + random.below(MAX_STACKED); left > 0; left -= 1)
    out = random.pick(MUTATIONS)(out, random, other);
  return out;
}

const flipBit: Mutation = (input, random) =>
  changed(input, random, 1, (out, at) => out.setUint8(at, out.getUint8(at) ^ (1 << random.below(8))));

const setByte: Mutation = (input, random) =>
  changed(input, random, 1, (out, at) =>
    out.setUint8(at, random.chance(0.5) ? random.below(256) : random.pick(EDGES) & 0xff),
  );

const setUint16: Mutation = (input, random) =>
  changed(input, random, 2, (out, at) =>
    out.setUint16(at, aNumber(random, input.length, at) & 0xffff, random.chance(0.5)),
  );

const setUint32: Mutation = (input, random) =>
  changed(input, random, 4, (out, at) =>
    out.setUint32(at, aNumber(random, input.length, at) >>> 0, random.chance(0.5)),
  );

const setUint64: Mutation = (input, random) =>
  changed(input, random, 8, (out, at) => {
    const high = BigInt(aNumber(random, input.length, at));
    const low = BigInt(aNumber(random, input.length, at));
    out.setBigUint64(at, random.chance(0.5) ? low : (high << 32n) | low, random.chance(0.5));
  });

/** Off by a little: the length that no longer fits, the count that is one too many. */
const addToUint16: Mutation = (input, random) =>
  changed(input, random, 2, (out, at) => {
    const littleEndian = random.chance(0.5);
    out.setUint16(at, (out.getUint16(at, littleEndian) + random.below(9) - 4) & 0xffff, littleEndian);
  });

const cut: Mutation = (input, random) => input.subarray(0, random.below(input.length + 1));

const removeChunk: Mutation = (input, random) => {
  const { start, end } = chunkOf(input, random);
  return concatBytes(input.subarray(0, start), input.subarray(end));
};

const repeatChunk: Mutation = (input, random) => {
  const { start, end } = chunkOf(input, random);
  const times = random.chance(0.1) ? 64 : 1 + random.below(3);
  const copies = Array.from({ length: times }, () => input.subarray(start, end));
  return concatBytes(input.subarray(0, end), ...copies, input.subarray(end));
};

const moveChunk: Mutation = (input, random) => {
  const { start, end } = chunkOf(input, random);
  const at = random.below(input.length + 1);
  return concatBytes(input.subarray(0, at), input.subarray(start, end), input.subarray(at));
};

const insertNoise: Mutation = (input, random) => {
  const at = random.chance(0.3) ? input.length : random.below(input.length + 1);
  return concatBytes(input.subarray(0, at), random.bytes(1 + random.below(16)), input.subarray(at));
};

/** The front of one, the back of another. */
const cross: Mutation = (input, random, other) =>
  concatBytes(
    input.subarray(0, random.below(input.length + 1)),
    other.subarray(random.below(other.length + 1)),
  );

/** The same place of another seed: what parses there may parse here. */
const transplant: Mutation = (input, random, other) => {
  const { start, end } = chunkOf(other, random);
  const out = new Uint8Array(input);
  out.set(other.subarray(start, Math.min(end, out.length)), Math.min(start, out.length));
  return out;
};

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  flipBit,
  setByte,
  setUint16,
  setUint32,
  setUint64,
  addToUint16,
  cut,
  removeChunk,
  repeatChunk,
  moveChunk,
  insertNoise,
  cross,
  transplant,
];

function changed(
  input: Uint8Array,
  random: Random,
  width: number,
  change: (out: DataView, at: number) => void,
): Uint8Array {
  if (input.length < width) return input;
  const out = new Uint8Array(input);
  change(new DataView(out.buffer), random.below(out.length - width + 1));
  return out;
}

function aNumber(random: Random, length: number, at: number): number {
  const rest = length - at;
  const near = [length, rest, rest - 1, rest - 2, rest - 4, at] as const;
  return random.pick([random.pick(EDGES), random.pick(WIDE_EDGES), random.pick(near), random.below(0x10000)]);
}

function chunkOf(input: Uint8Array, random: Random): { start: number; end: number } {
  const start = random.below(input.length + 1);
  const longest = random.chance(0.1) ? input.length : MAX_CHUNK;
  return { start, end: Math.min(input.length, start + 1 + random.below(longest + 1)) };
}
