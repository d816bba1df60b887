/** Verified slices by artifact and number, least recently used first out, at most `maxBytes` of them. */
export interface SliceCache {
  get(key: string): Buffer | undefined;
  set(key: string, slice: Buffer): void;
  readonly bytes: number;
}

export function createSliceCache(maxBytes: number): SliceCache {
  // A Map iterates in order of insertion: taking an entry out and putting it back makes it the newest.
  const slices = new Map<string, Buffer>();
  let bytes = 0;

  function drop(key: string): void {
    bytes -= slices.get(key)?.length ?? 0;
    slices.delete(key);
  }

  return {
    get bytes() {
      return bytes;
    },
    get(key) {
      const slice = slices.get(key);
      if (slice === undefined) return undefined;
      slices.delete(key);
      slices.set(key, slice);
      return slice;
    },
    set(key, slice) {
      drop(key);
      if (slice.length > maxBytes) return;
      slices.set(key, slice);
      bytes += slice.length;
      for (const oldest of slices.keys()) {
        if (bytes <= maxBytes) return;
        drop(oldest);
      }
    },
  };
}
