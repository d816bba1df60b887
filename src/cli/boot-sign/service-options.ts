import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { SigningServiceAddress } from './signing-service-client.ts';
import { UsageError } from './usage-error.ts';

/** How a command reaches a signing service: docs/signing-service.md, "Reaching it". */
export interface ServiceOptions {
  readonly service?: string;
  readonly serviceCa?: string;
  readonly serviceCert?: string;
  readonly serviceKey?: string;
}

export const DEFAULT_SOCKET = '/run/boot-signer/boot-signer.sock';

/** @param socket where the service is unless told; without it, there is none unless told */
export function withService(command: Command, socket?: string): Command {
  return command
    .option(
      '--service <ADDRESS>',
      'the signing service: the path of its socket, or https://HOST:PORT',
      socket,
    )
    .option('--service-ca <FILE>', 'over https: the CA of its certificate, PEM')
    .option('--service-cert <FILE>', 'over https: your certificate, PEM')
    .option('--service-key <FILE>', 'over https: the key of your certificate, PEM');
}

/** @throws {UsageError} */
export async function addressOf(options: ServiceOptions): Promise<SigningServiceAddress> {
  const address = options.service ?? DEFAULT_SOCKET;
  if (!address.startsWith('https://')) return { socketPath: address };
  const url = URL.parse(address);
  const { serviceCa, serviceCert, serviceKey } = options;
  if (url === null || url.port === '') throw new UsageError(`--service ${address}: write https://HOST:PORT`);
  if (serviceCa === undefined || serviceCert === undefined || serviceKey === undefined)
    throw new UsageError('over https the service wants --service-ca, --service-cert and --service-key');
  const [ca, cert, key] = await Promise.all([
    readFile(serviceCa),
    readFile(serviceCert),
    readFile(serviceKey),
  ]);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port), tls: { ca, cert, key } };
}
