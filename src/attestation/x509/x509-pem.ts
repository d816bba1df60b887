export interface PemBlock<Label extends string> {
  label: Label;
  der: Uint8Array;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g;
const PEM_BEGIN = '-----BEGIN ';

/** A SEQUENCE of more than 127 bytes, not a text that starts with "0". */
export function isDer(bytes: Uint8Array): boolean {
  return bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80;
}

/** One DER value, or any number of PEM blocks with this label. @throws {Error} */
export function splitPem(bytes: Uint8Array, label: string): Uint8Array[] {
  return isDer(bytes) ? [bytes] : readPemBlocks(bytes, [label]).map(({ der }) => der);
}

/**
 * Any number of PEM blocks with text in between. A block of another label, or one that is not base64, is an
 * error and not skipped: a typing mistake must not silently shorten a list.
 *
 * @throws {Error}
 */
export function readPemBlocks<Label extends string>(
  bytes: Uint8Array,
  labels: readonly Label[],
): PemBlock<Label>[] {
  const text = Buffer.from(bytes).toString('latin1');
  const blocks = [...text.matchAll(BLOCK)].flatMap(([, found, body = '']) =>
    labels
      .filter((label) => label === found)
      .map((label) => ({ label, der: new Uint8Array(Buffer.from(body, 'base64')) })),
  );
  const begun = text.split(PEM_BEGIN).length - 1;
  if (blocks.length === 0 || blocks.length !== begun)
    throw new Error(`${begun} PEM blocks, ${blocks.length} of them ${labels.join(' or ')}`);
  return blocks;
}
