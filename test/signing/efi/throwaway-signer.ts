import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRsaPem, type RsaPkcs1Signer } from '../../../src/signing/keys/rsa-pkcs1-signer.ts';

/** A folder with a Secure Boot key pair that lives for one test file. */
export interface ThrowawaySigner {
  folder: string;
  keyFile: string;
  certificateFile: string;
  signer: RsaPkcs1Signer;
  certificate: X509Certificate;
  remove(): void;
}

export function createThrowawaySigner(bits = 2048): ThrowawaySigner {
  const folder = mkdtempSync(join(tmpdir(), 'bootward-efi-'));
  const keyFile = join(folder, 'db.key');
  const certificateFile = join(folder, 'db.crt');
  const key = ['-newkey', `rsa:${bits}`, '-nodes', '-keyout', keyFile];
  const request = [
    'req',
    '-x509',
    ...key,
    '-days',
    '30',
    '-subj',
    '/CN=throwaway db',
    '-out',
    certificateFile,
  ];
  execFileSync('openssl', request, { stdio: 'ignore' });
  return {
    folder,
    keyFile,
    certificateFile,
    signer: openRsaPem(readFileSync(keyFile)),
    certificate: new X509Certificate(readFileSync(certificateFile)),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
