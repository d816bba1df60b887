import type { Command } from 'commander';
import type { KeyAccessOptions } from './key-access.ts';

export interface RsaKeyOptions extends KeyAccessOptions {
  readonly key: string;
}

export function withRsaKey(command: Command): Command {
  return command.requiredOption(
    '--key <KEY>',
    'the RSA private key: PEM (encrypted or not), pkcs11:token=NAME;object=NAME?module-path=FILE, or hook:PROGRAM',
  );
}
