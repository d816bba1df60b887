const PEM_BEGIN = '-----BEGIN ';

/**
 * One DER value, or any number of PEM blocks with text in between. A block of another label, or one that is
 * not base64, is an error and not skipped: a typing mistake must not silently shorten a list.
 *
 * @throws {Error}
 */
export function splitPem(bytes: Uint8Array, label: string): Uint8Array[] {
  if (bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80) return [bytes]; // a SEQUENCE, not a text that starts with "0"
  const text = Buffer.from(bytes).toString('latin1');
  const pattern = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`, 'g');
  const blocks = [...text.matchAll(pattern)].map(([, body = '']) => Buffer.from(body, 'base64'));
  const begun = text.split(PEM_BEGIN).length - 1;
  if (blocks.length === 0 || blocks.length !== begun)
    throw new Error(`${begun} PEM blocks, ${blocks.length} of them ${label}`);
  return blocks;
}
