import { Command, InvalidArgumentError, Option } from 'commander';
import { OUTPUT_FORMATS, type OutputOptions } from './command.ts';
import type { KeyAccessOptions } from './key-access.ts';
import { DEFAULT_SOCKET, type ServiceOptions, withService } from './service-options.ts';

export type ServiceCommandOptions = OutputOptions & KeyAccessOptions & ServiceOptions;

/** A command on a signing service. */
export function createServiceCommand(name: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .addOption(new Option('-o, --output <form>', 'what to print').choices(OUTPUT_FORMATS).default('text'));
  return withService(command, DEFAULT_SOCKET);
}

export function toRequestId(text: string): string {
  if (!/^[0-9a-f]{32}$/.test(text))
    throw new InvalidArgumentError('It is a request id: 32 hex digits, as `requests list` shows it.');
  return text;
}
