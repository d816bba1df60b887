import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { DEBUG_VARIABLE } from '../../core/unknown-error.ts';
import type { KeyReference } from '../../signing/keys/key-reference.ts';
import type { SecretSource } from '../../signing/keys/secret-source.ts';
import { type Config, imageKeysOf } from '../config.ts';
import { isProblemCode, RefusedError, SignerStateError } from '../errors.ts';
import { FIRST_SECRET_DESCRIPTOR } from '../key-process/descriptors.ts';
import type { CallBody } from '../key-process/messages.ts';

const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

export interface KeyLinkOptions {
  readonly config: Config;
  readonly configFile: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: number;
  readonly anchor: number;
  readonly lock: number;
  /** The program of the key process: tests give one that stops at a step. */
  readonly entry?: string;
}

/** The way to the key process. When that ends, so does this: nothing is asked twice by itself. */
export interface KeyLink {
  readonly pid: number;
  /** Resolves with the exit code, or the signal's name, when the key process is gone. */
  readonly ended: Promise<number | string>;
  /** @throws {RefusedError} what the key process refused, or `signer-stopped` */
  call(body: CallBody): Promise<JsonObject | readonly JsonObject[]>;
  close(): void;
}

/** @throws {SignerStateError} why the key process did not start */
export async function startKeyProcess(options: KeyLinkOptions): Promise<KeyLink> {
  const child = spawnKeyProcess(options);
  const channel = child.stdio[3] as Socket;
  const ended = new Promise<number | string>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  );
  const waiting = new Map<number, PromiseWithResolvers<JsonObject | readonly JsonObject[]>>();
  const ready = Promise.withResolvers<void>();
  readLines(channel, (message) => {
    if (message.ready === true) ready.resolve();
    else if (isJsonObject(message.failed)) ready.reject(startFailure(message.failed));
    else settle(waiting, message);
  });
  void ended.then((how) => {
    ready.reject(new SignerStateError('key-process-failed', `the key process ended at its start (${how})`));
    for (const { reject } of waiting.values()) reject(stopped());
    waiting.clear();
  });
  await ready.promise;
  let number = 0;
  return {
    pid: child.pid ?? 0,
    ended,
    call(body) {
      number += 1;
      const answer = Promise.withResolvers<JsonObject | readonly JsonObject[]>();
      if (channel.destroyed || !channel.writable) return Promise.reject(stopped());
      waiting.set(number, answer);
      channel.write(`${JSON.stringify({ number, ...body })}\n`);
      return answer.promise;
    },
    close: () => channel.end(),
  };
}

/**
 * Node's permission model: files to read, and nothing else. No file is written but through the inherited
 * descriptors, no program started, no connection made, no thread begun.
 */
export function permissionFlags({
  config,
  configFile,
  environment,
  entry = ENTRY,
}: KeyLinkOptions): readonly string[] {
  const ofKeys = config.keys.flatMap(({ reference, secret }) => [
    ...filesOfKey(reference),
    ...filesOfSecret(secret, environment),
  ]);
  const ofArtifacts = config.artifacts === undefined ? [] : [config.artifacts];
  const ofImages = imageKeysOf(config).size === 0 ? [] : [config.imagesDir];
  const readable = new Set([...PROGRAM, entry, configFile, ...ofKeys, ...ofArtifacts, ...ofImages]);
  const kinds = new Set(config.keys.map(({ reference }) => reference.kind));
  return [
    '--permission',
    ...[...readable].map((path) => `--allow-fs-read=${path}`),
    ...[...kinds].flatMap((kind) => FLAGS_BY_KIND[kind]),
  ];
}

/** What a kind of key needs beside: it is outside the model then, and the systemd unit is the wall. */
const FLAGS_BY_KIND: Readonly<Record<KeyReference['kind'], readonly string[]>> = {
  file: [],
  pkcs11: ['--allow-addons', '--allow-worker'],
  // The program reads the message from a file.
  hook: ['--allow-child-process', `--allow-fs-read=${tmpdir()}`, `--allow-fs-write=${tmpdir()}`],
};

function filesOfKey(reference: KeyReference): readonly string[] {
  if (reference.kind === 'file') return [reference.path];
  if (reference.kind === 'hook') return [reference.path, `${reference.path}.pem`];
  const { modulePath, pinFile } = reference;
  return pinFile === undefined ? [modulePath] : [modulePath, pinFile];
}

function filesOfSecret(
  secret: SecretSource | undefined,
  { CREDENTIALS_DIRECTORY: folder }: NodeJS.ProcessEnv,
): readonly string[] {
  if (secret?.kind === 'file') return [secret.path];
  return secret?.kind === 'credential' && folder !== undefined ? [join(folder, secret.name)] : [];
}

const ROOT = new URL('../../../', import.meta.url);
/** This program's own files: `src` in a working copy, `dist` in an installed one. */
const PROGRAM = [
  ...['src', 'dist', 'package.json'].map((name) => fileURLToPath(new URL(name, ROOT))),
  ...modulesAbove(fileURLToPath(ROOT)),
].filter((path) => existsSync(path));

/** Where the runtime looks for packages: an installed copy has them beside itself. */
function modulesAbove(folder: string): readonly string[] {
  const above = dirname(folder);
  return [join(folder, 'node_modules'), ...(above === folder ? [] : modulesAbove(above))];
}

function spawnKeyProcess(options: KeyLinkOptions): ChildProcess {
  const { config, configFile, environment, log, anchor, lock, entry = ENTRY } = options;
  const secrets = config.keys.flatMap(({ secret }) => (secret?.kind === 'descriptor' ? [secret.fd] : []));
  const highest = Math.max(FIRST_SECRET_DESCRIPTOR - 1, ...secrets);
  const inherited = Array.from({ length: highest - FIRST_SECRET_DESCRIPTOR + 1 }, (_, index) => {
    const descriptor = index + FIRST_SECRET_DESCRIPTOR;
    return secrets.includes(descriptor) ? descriptor : ('ignore' as const);
  });
  const { CREDENTIALS_DIRECTORY, [DEBUG_VARIABLE]: debug } = environment;
  return spawn(process.execPath, [...permissionFlags(options), entry, configFile], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', log, anchor, lock, ...inherited],
    env: {
      ...config.moduleEnvironment,
      ...(CREDENTIALS_DIRECTORY !== undefined && { CREDENTIALS_DIRECTORY }),
      ...(debug !== undefined && { [DEBUG_VARIABLE]: debug }),
    },
  });
}

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const ENTRY = fileURLToPath(new URL(`../key-process/main.${EXTENSION}`, import.meta.url));

function readLines(channel: Socket, take: (message: JsonObject) => void): void {
  let buffered: Buffer[] = [];
  channel.on('error', () => channel.destroy());
  channel.on('data', (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      const message = parseStrictJson(Buffer.concat([...buffered, rest.subarray(0, end)]), {
        maxBytes: MAX_ANSWER_BYTES,
      });
      buffered = [];
      rest = rest.subarray(end + 1);
      if (isJsonObject(message)) take(message);
    }
    buffered.push(rest);
  });
}

function settle(
  waiting: Map<number, PromiseWithResolvers<JsonObject | readonly JsonObject[]>>,
  message: JsonObject,
): void {
  const number = Number(message.number);
  const call = waiting.get(number);
  if (call === undefined) return;
  waiting.delete(number);
  const { result, refusal } = message;
  if (!isJsonObject(refusal)) call.resolve(result as JsonObject);
  else
    call.reject(
      new RefusedError(isProblemCode(refusal.code) ? refusal.code : 'internal', String(refusal.message)),
    );
}

function startFailure({ code, message }: JsonObject): Error {
  return new CodedError(String(code), String(message));
}

function stopped(): RefusedError {
  return new RefusedError(
    'signer-stopped',
    'the key process has ended: ask again when the service has started anew',
  );
}
