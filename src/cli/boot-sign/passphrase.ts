import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { KeyError } from '../../signing/keys/key-error.ts';
import { UsageError } from './usage-error.ts';

/** Where the passphrase comes from. Never an argument or the environment: others can read those. */
export interface PassphraseOptions {
  readonly passphraseFile?: string;
  readonly passphraseFd?: number;
}

const MAX_LENGTH = 1024;
const MIN_NEW_LENGTH = 8;

/** The passphrase of keys that are there. */
export async function readPassphrase(options: PassphraseOptions): Promise<string> {
  return given(options) ?? requireUsable(await ask('Passphrase: '));
}

/** The passphrase of new keys: asked twice on a terminal, and not too short. */
export async function readNewPassphrase(options: PassphraseOptions): Promise<string> {
  const passphrase = given(options) ?? (await askTwice());
  if (passphrase.length < MIN_NEW_LENGTH)
    throw new KeyError('passphrase-invalid', `a new passphrase has at least ${MIN_NEW_LENGTH} characters`);
  return passphrase;
}

function given({ passphraseFile, passphraseFd }: PassphraseOptions): string | undefined {
  if (passphraseFile !== undefined && passphraseFd !== undefined)
    throw new UsageError('give --passphrase-file or --passphrase-fd, not both');
  const source = passphraseFile ?? passphraseFd;
  return source === undefined ? undefined : requireUsable(firstLine(readFileSync(source, 'utf8')));
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}

/** One form for all tools: the same letters may be typed as other bytes. */
function requireUsable(typed: string): string {
  const passphrase = typed.normalize('NFC');
  if (passphrase === '') throw new KeyError('passphrase-invalid', 'the passphrase is empty');
  if (passphrase.length > MAX_LENGTH)
    throw new KeyError('passphrase-invalid', `the passphrase is longer than ${MAX_LENGTH} characters`);
  return passphrase;
}

async function askTwice(): Promise<string> {
  const first = requireUsable(await ask('New passphrase for all keys: '));
  if ((await ask('Once more: ')).normalize('NFC') !== first)
    throw new KeyError('passphrase-invalid', 'the two passphrases differ');
  return first;
}

/** readline puts the terminal into raw mode; what it echoes goes nowhere. */
export async function ask(
  question: string,
  instead = '--passphrase-file or --passphrase-fd',
): Promise<string> {
  if (!process.stdin.isTTY) throw new UsageError(`there is no terminal to ask on: give ${instead}`);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  // Only now: whoever answers the question finds the echo off.
  process.stderr.write(question);
  const interrupted = new Promise<never>((_resolve, reject) => terminal.once('SIGINT', reject));
  try {
    return await Promise.race([terminal.question(''), interrupted]);
  } catch {
    // Ctrl-C or Ctrl-D; nothing was done.
    throw new UsageError('interrupted');
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
