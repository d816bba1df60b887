import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { asciiBytes } from '../../core/bytes.ts';
import { UsageError } from './usage-error.ts';

/**
 * The one certificate in a PEM file, encoded again: stage-0 is public, so nothing else that a file may
 * hold, such as the key beside its certificate, goes into it.
 */
export async function loadServerCa(path: string): Promise<Uint8Array> {
  const text = await readFile(path, 'latin1');
  if (text.split('-----BEGIN CERTIFICATE-----').length !== 2)
    throw new UsageError(`${path} does not hold exactly one certificate in PEM`);
  try {
    return asciiBytes(new X509Certificate(text).toString());
  } catch {
    throw new UsageError(`${path} holds no certificate that can be read`);
  }
}
