const NEWLINE = 0x0a;

/**
 * The lines of a byte stream without their newlines. Of a longer line only the first `maxBytes` + 1 bytes
 * come, so that the reader can see that it is too long; memory stays bounded by one line and one chunk.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const keep = (part: Uint8Array) => {
    const kept = part.subarray(0, Math.max(0, maxBytes + 1 - length));
    if (kept.length > 0) parts.push(kept);
    length += kept.length;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end));
      yield Buffer.concat(parts);
      parts = [];
      length = 0;
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (length > 0) yield Buffer.concat(parts);
}
