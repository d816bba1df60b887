import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { OUTPUT_FORMATS, type SigningOptions } from './command.ts';
import { toPositiveInteger } from './options.ts';
import type { SigningServiceAddress } from './signing-service-client.ts';
import { UsageError } from './usage-error.ts';

/** How a command reaches a signing service: docs/signing-service.md, "Reaching it". */
export interface ServiceOptions {
  readonly service?: string;
  readonly serviceCa?: string;
  readonly serviceCert?: string;
  readonly serviceKey?: string;
}

export type ServiceCommandOptions = SigningOptions & ServiceOptions;

/** A command on a signing service, which may need the passphrase of an approver's key. */
export function createServiceCommand(name: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .addOption(new Option('-o, --output <form>', 'what to print').choices(OUTPUT_FORMATS).default('text'));
  return withService(command);
}

export function withPassphraseOptions(command: Command): Command {
  return command
    .option('--passphrase-file <FILE>', 'read the passphrase from the first line of this file')
    .option('--passphrase-fd <N>', 'read it from this open descriptor instead', toDescriptor);
}

export function withService(command: Command): Command {
  return command
    .option(
      '--service <ADDRESS>',
      'the signing service: the path of its socket, or https://HOST:PORT',
      DEFAULT_SOCKET,
    )
    .option('--service-ca <FILE>', 'over https: the CA of its certificate, PEM')
    .option('--service-cert <FILE>', 'over https: your certificate, PEM')
    .option('--service-key <FILE>', 'over https: the key of your certificate, PEM');
}

const DEFAULT_SOCKET = '/run/boot-signer/boot-signer.sock';

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

export function toRequestId(text: string): string {
  if (!/^[0-9a-f]{32}$/.test(text))
    throw new InvalidArgumentError('It is a request id: 32 hex digits, as `requests list` shows it.');
  return text;
}

function toDescriptor(text: string): number {
  return text === '0' ? 0 : toPositiveInteger(text);
}
