import type { Writable } from 'node:stream';
import { Command, Option } from 'commander';
import type { Clock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { formatDocument } from '../documents.ts';
import { toPositiveInteger } from './options.ts';
import type { PassphraseOptions } from './passphrase.ts';

/** What a command takes from the world beside files. */
export interface CommandContext {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly clock: Clock;
  readonly environment: NodeJS.ProcessEnv;
}

export const OUTPUT_FORMATS = ['text', 'json', 'yaml'] as const;

export interface OutputOptions {
  readonly output: (typeof OUTPUT_FORMATS)[number];
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

/** A command on any file: `boot-sign NAME FILE`. */
export function createFileCommand(name: string, description: string, file: string): Command {
  return createCommand(name, description).argument('<FILE>', file);
}

/** A command that signs and needs a file instead of a repository: `boot-sign NAME FILE`. */
export function createFileSigningCommand(name: string, description: string, file: string): Command {
  return withPassphrase(createFileCommand(name, description, file));
}

/** What people type, below the options that --help explains. */
export function withExamples(command: Command, ...examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ boot-sign ${example}`);
  return command.addHelpText('after', ['', 'Examples:', ...lines].join('\n'));
}

function createCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(new Option('-o, --output <form>', 'what to print').choices(OUTPUT_FORMATS).default('text'));
}

function withPassphrase(command: Command): Command {
  return command
    .option('--passphrase-file <FILE>', 'read the passphrase from the first line of this file')
    .option('--passphrase-fd <N>', 'read it from this open descriptor instead', toDescriptor);
}

export async function printResult(
  { stdout }: CommandContext,
  { output }: OutputOptions,
  { json, lines }: CommandResult,
): Promise<void> {
  const text = output === 'text' ? lines.join('\n') : await formatDocument(json, output);
  if (text !== '') stdout.write(`${text}\n`);
}

function toDescriptor(text: string): number {
  return text === '0' ? 0 : toPositiveInteger(text);
}
