import type { Writable } from 'node:stream';
import { Command, Option } from 'commander';
import type { Clock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { toPositiveInteger } from './options.ts';
import type { PassphraseOptions } from './passphrase.ts';

/** What a command takes from the world beside files. */
export interface CommandContext {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly clock: Clock;
  readonly environment: NodeJS.ProcessEnv;
}

export interface OutputOptions {
  readonly output: 'text' | 'json';
}

export type SigningOptions = OutputOptions & PassphraseOptions;

/** What a command did: as lines for a person, as one JSON document for a program. */
export interface CommandResult {
  readonly lines: readonly string[];
  readonly json: JsonObject;
}

/** A command on a repository folder: `boot-sign NAME [DIR]`. */
export function createFolderCommand(name: string, description: string): Command {
  return createCommand(name, description).argument('[DIR]', 'the repository folder', '.');
}

/** The same for a command that signs, and so needs the passphrase. */
export function createSigningCommand(name: string, description: string): Command {
  return withPassphrase(createFolderCommand(name, description));
}

/** A command that signs and needs a file instead of a repository: `boot-sign NAME FILE`. */
export function createFileSigningCommand(name: string, description: string, file: string): Command {
  return withPassphrase(createCommand(name, description).argument('<FILE>', file));
}

function createCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(new Option('-o, --output <form>', 'what to print').choices(['text', 'json']).default('text'));
}

function withPassphrase(command: Command): Command {
  return command
    .option('--passphrase-file <FILE>', 'read the passphrase from the first line of this file')
    .option('--passphrase-fd <N>', 'read it from this open descriptor instead', toDescriptor);
}

export function printResult(context: CommandContext, options: OutputOptions, result: CommandResult): void {
  const text = options.output === 'json' ? JSON.stringify(result.json) : result.lines.join('\n');
  if (text !== '') context.stdout.write(`${text}\n`);
}

function toDescriptor(text: string): number {
  return text === '0' ? 0 : toPositiveInteger(text);
}
