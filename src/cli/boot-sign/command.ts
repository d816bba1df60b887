import type { Writable } from 'node:stream';
import { Command, Option } from 'commander';
import type { Clock } from '../../core/clock.ts';
import { toPrintable } from '../../core/printable.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { formatDocument } from '../documents.ts';
import type { SignerOptions } from './change-repository.ts';
import { KEY_HELP, withKeyAccess } from './key-access.ts';
import { toFiles } from './options.ts';
import { withService } from './service-options.ts';

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

export type SigningOptions = OutputOptions & SignerOptions;

/** What a command did: as lines for a person, as one JSON document for a program. */
export interface CommandResult {
  readonly lines: readonly string[];
  readonly json: JsonObject;
}

/** A command on a repository folder: `boot-sign NAME [DIR]`. */
export function createFolderCommand(name: string, description: string): Command {
  return createCommand(name, description).argument('[DIR]', 'the repository folder', '.');
}

/** The same for a command that changes what is signed, with whatever keys are at hand. */
export function createSigningCommand(name: string, description: string): Command {
  const command = withKeyAccess(createFolderCommand(name, description));
  return withService(
    command.option('--sign-with <KEY>', `more than the folder's keys: ${KEY_HELP}`, toFiles),
  );
}

/** The same for a command that makes keys in the folder. */
export function createKeyMakingCommand(name: string, description: string): Command {
  return withKeyAccess(createFolderCommand(name, description));
}

/** A command on any file: `boot-sign NAME FILE`. */
export function createFileCommand(name: string, description: string, file: string): Command {
  return createCommand(name, description).argument('<FILE>', file);
}

/** A command that signs and needs a file instead of a repository: `boot-sign NAME FILE`. */
export function createFileSigningCommand(name: string, description: string, file: string): Command {
  return withKeyAccess(createFileCommand(name, description, file));
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

/**
 * Shows a person what they are about to sign, before they are asked for a passphrase or PIN. A program gets
 * its one document at the end, and a person who watches it the lines on standard error.
 */
export function showBeforeSigning(
  { stdout, stderr }: CommandContext,
  { output }: OutputOptions,
  lines: readonly string[],
): void {
  const isWatched = 'isTTY' in stderr && stderr.isTTY === true;
  if (output !== 'text' && !isWatched) return;
  (output === 'text' ? stdout : stderr).write(`${textOf(lines)}\n`);
}

export async function printResult(
  { stdout }: CommandContext,
  { output }: OutputOptions,
  { json, lines }: CommandResult,
): Promise<void> {
  const text = output === 'text' ? textOf(lines) : await formatDocument(json, output);
  if (text !== '') stdout.write(`${text}\n`);
}

/** What other people, machines and files say drives no terminal and adds no line. */
function textOf(lines: readonly string[]): string {
  return lines.map((line) => toPrintable(line)).join('\n');
}
