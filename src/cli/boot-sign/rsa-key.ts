import type { Command } from 'commander';
import type { RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import type { KeyAccessOptions } from './key-access.ts';
import { withKeyOpener } from './key-access.ts';
import { addressOf, type ServiceOptions, withService } from './service-options.ts';
import type { SigningServiceAddress } from './signing-service-client.ts';
import { UsageError } from './usage-error.ts';

export interface RsaKeyOptions extends KeyAccessOptions, ServiceOptions {
  readonly key?: string;
}

export function withRsaKey(command: Command): Command {
  return withService(
    command.option(
      '--key <KEY>',
      'the RSA private key: PEM (encrypted or not), pkcs11:token=NAME;object=NAME?module-path=FILE, or hook:PROGRAM',
    ),
  );
}

/** Lends the one key that is told, here or in a signing service. @throws {UsageError} */
export async function withRsaSigner<T>(
  options: RsaKeyOptions,
  atService: (address: SigningServiceAddress) => Promise<RsaPkcs1Signer>,
  work: (signer: RsaPkcs1Signer) => Promise<T>,
): Promise<T> {
  const { key, service } = options;
  if ((key === undefined) === (service === undefined))
    throw new UsageError('give --key or --service: one key signs');
  if (key === undefined) return work(await atService(await addressOf(options)));
  return withKeyOpener(options, async ({ openRsa }) => work(await openRsa(key)));
}
