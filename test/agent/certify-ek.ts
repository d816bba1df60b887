import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostTpm } from './host-tpm.ts';

/** An EK of the TCG EK Credential Profile, in the words of tpm2-tools; `policy` is PolicyB, in hex. */
export interface EkTemplate {
  index: string;
  make: readonly string[];
}

const POLICY_B = 'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0';
const HIGH = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|restricted|decrypt';

export const P256: EkTemplate = { index: '0x01c0000a', make: ['createek', '-G', 'ecc'] };
export const HIGH_RSA: EkTemplate = { index: '0x01c00012', make: highRange('rsa2048:null:aes128cfb') };
export const HIGH_P256: EkTemplate = { index: '0x01c00014', make: highRange('ecc256:null:aes128cfb') };

function highRange(algorithm: string): string[] {
  return ['createprimary', '-C', 'e', '-G', algorithm, '-g', 'sha256', '-a', HIGH, '-L', 'POLICY'];
}

/**
 * Does what a manufacturer does: a certificate for that EK into its NV index. Of any issuer, because only a
 * server asks who that was. Answers the EK's fingerprint.
 */
export function certifyEk(tpm: HostTpm, folder: string, template: EkTemplate): string {
  const file = (name: string) => join(folder, name);
  execFileSync('xxd', ['-r', '-p', '-', file('policy')], { input: POLICY_B });
  const make = template.make.map((word) => (word === 'POLICY' ? file('policy') : word));
  tpm.run(...make, '-Q', '-c', file('ek.ctx'));
  tpm.run('flushcontext', '-t');
  tpm.run('readpublic', '-Q', '-c', file('ek.ctx'), '-f', 'pem', '-o', file('ek.pem'));
  tpm.run('flushcontext', '-t');
  writeCertificate(tpm, folder, template.index);
  const der = execFileSync('openssl', ['pkey', '-pubin', '-in', file('ek.pem'), '-outform', 'DER']);
  return execFileSync('sha256sum', { input: der, encoding: 'utf8' }).slice(0, 64);
}

/** For the public key in `ek.pem`. */
export function writeCertificate(tpm: HostTpm, folder: string, index: string): void {
  const file = (name: string) => join(folder, name);
  const issuer = [
    'req',
    '-x509',
    '-config',
    '/dev/null',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=maker',
  ];
  execFileSync('openssl', [...issuer, '-keyout', file('ca.key'), '-out', file('ca.pem')], { stdio: 'pipe' });
  const request = ['x509', '-new', '-force_pubkey', file('ek.pem'), '-subj', '/CN=ek', '-outform', 'DER'];
  const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-out', file('ek.der')];
  execFileSync('openssl', [...request, ...by], { stdio: 'pipe' });
  const size = readFileSync(file('ek.der')).length;
  tpm.run('nvdefine', '-Q', '-C', 'o', '-s', `${size}`, '-a', 'ownerwrite|authread|ownerread|no_da', index);
  tpm.run('nvwrite', '-Q', '-C', 'o', '-i', file('ek.der'), index);
}
