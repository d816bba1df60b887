import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder with a Secure Boot key pair that lives for one test file. */
export interface ThrowawaySigner {
  folder: string;
  keyFile: string;
  certificateFile: string;
  remove(): void;
}

export function createThrowawaySigner(): ThrowawaySigner {
  const folder = mkdtempSync(join(tmpdir(), 'bootward-efi-'));
  const keyFile = join(folder, 'db.key');
  const certificateFile = join(folder, 'db.crt');
  const request = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '30',
    '-subj',
    '/CN=throwaway db',
  ];
  execFileSync('openssl', [...request, '-keyout', keyFile, '-out', certificateFile], { stdio: 'ignore' });
  return { folder, keyFile, certificateFile, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
