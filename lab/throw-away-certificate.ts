import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A self-signed certificate in DER; its key is gone as soon as it is made. */
export async function createThrowAwayCertificate(commonName: string): Promise<Uint8Array> {
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', '/dev/null'];
  const { stdout } = await run(
    'openssl',
    ['req', '-x509', ...key, '-sha256', '-days', '30', '-subj', `/CN=${commonName}`, '-outform', 'DER'],
    { encoding: 'buffer' },
  );
  return stdout;
}
