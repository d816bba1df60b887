/** Where two sequences differ: places in `before` that are gone and places in `after` that are new. */
export interface SequenceDiff {
  removed: number[];
  added: number[];
}

/** Cells of the table below: a tenth of a second at most, whatever was in the logs. */
const MAX_CELLS = 1_000_000;

/**
 * The shortest such lists (longest common subsequence); undefined when the part that differs is too large to
 * compare in bounded work.
 */
export function diffSequences(before: readonly string[], after: readonly string[]): SequenceDiff | undefined {
  const start = commonPrefix(before, after);
  const common = commonPrefix(before.slice(start).reverse(), after.slice(start).reverse());
  const left = before.slice(start, before.length - common);
  const right = after.slice(start, after.length - common);
  if (left.length * right.length > MAX_CELLS) return undefined;
  const { removed, added } = walk(left, right, commonLengths(left, right));
  return { removed: removed.map((place) => place + start), added: added.map((place) => place + start) };
}

function commonPrefix(before: readonly string[], after: readonly string[]): number {
  const end = before.findIndex((key, index) => key !== after[index]);
  return end === -1 ? before.length : end;
}

/** Length of the longest common subsequence of `left` from i and `right` from j, row by row. */
function commonLengths(left: readonly string[], right: readonly string[]): Uint32Array {
  const width = right.length + 1;
  const lengths = new Uint32Array((left.length + 1) * width);
  const at = (i: number, j: number) => Number(lengths[i * width + j]);
  for (let i = left.length - 1; i >= 0; i -= 1)
    for (let j = right.length - 1; j >= 0; j -= 1)
      lengths[i * width + j] =
        left[i] === right[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  return lengths;
}

function walk(left: readonly string[], right: readonly string[], lengths: Uint32Array): SequenceDiff {
  const width = right.length + 1;
  const at = (i: number, j: number) => Number(lengths[i * width + j]);
  const removed: number[] = [];
  const added: number[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && left[i] === right[j]) {
      i += 1;
      j += 1;
    } else if (j === right.length || (i < left.length && at(i + 1, j) >= at(i, j + 1))) {
      removed.push(i);
      i += 1;
    } else {
      added.push(j);
      j += 1;
    }
  }
  return { removed, added };
}
