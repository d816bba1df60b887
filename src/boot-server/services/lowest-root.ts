import { Problem } from '../problems.ts';

/** Where trust starts when no root is pinned. */
export function lowestRoot(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const versions = [...files.keys()].flatMap((name) => {
    const digits = /^([1-9][0-9]{0,9})\.root\.json$/.exec(name)?.[1];
    return digits === undefined ? [] : [Number(digits)];
  });
  if (versions.length === 0)
    throw new Problem('metadata-refused', 'there is no root metadata among the files');
  return files.get(`${Math.min(...versions)}.root.json`) ?? new Uint8Array();
}
