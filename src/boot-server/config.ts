import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Value } from 'typebox/value';
import { parseDocument } from 'yaml';
import { CodedError, messageOf } from '../core/errors.ts';
import {
  CONFIG_SCHEMA,
  type ConfigDocument,
  MAX_VERIFICATION_THREADS,
  SETTINGS,
  type Setting,
} from './config-schema.ts';

export type ConfigCode = 'config-unreadable' | 'config-invalid';

/** Why the configuration is not one; the message names the key and what to write there. */
export class ConfigError extends CodedError<ConfigCode> {}

/** The whole configuration: validated, with defaults filled in and every path absolute. */
export interface Config extends ConfigDocument {
  operators: ConfigDocument['operators'] & { socket: string };
  limits: ConfigDocument['limits'] & { verificationThreads: number };
  tpmVendors: string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigSource {
  /** The file's text; undefined when there is no file, and then defaults hold. */
  text: string | undefined;
  /** How messages call the file. */
  origin: string;
  /** What relative paths are relative to: the file's folder. */
  folder: string;
  environment: Environment;
}

/**
 * Reads `path`, or the file that BOOTWARD_CONFIG names, or no file.
 *
 * @throws {ConfigError}
 */
export function loadConfig(path: string | undefined, environment: Environment): Config {
  const file = path ?? environment.BOOTWARD_CONFIG;
  if (file === undefined)
    return parseConfig({ text: undefined, origin: 'no file', folder: process.cwd(), environment });
  return parseConfig({ text: readConfig(file), origin: file, folder: dirname(resolve(file)), environment });
}

/** YAML or JSON (which is YAML), then the environment over it. @throws {ConfigError} */
export function parseConfig({ text, origin, folder, environment }: ConfigSource): Config {
  const document = parseYaml(text ?? '', origin);
  for (const { setting, value } of settingsIn(environment)) assign(document, setting.key.split('.'), value);
  const filled = Value.Default(CONFIG_SCHEMA, document);
  verifyDocument(filled, origin);
  return withDefaults(filled, folder);
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError('config-unreadable', `the configuration was not read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

type Tree = Record<string, unknown>;

/** No aliases, anchors or custom tags: a configuration is a plain tree. YAML refuses a key given twice. */
function parseYaml(text: string, origin: string): Tree {
  const document = parseDocument(text, { schema: 'core', version: '1.2' });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) throw invalid(`${origin}: ${fault.message}`);
  const value = toPlain(document, origin);
  if (!isTree(value)) throw invalid(`${origin}: expected "key: value" lines`);
  return value;
}

function toPlain(document: ReturnType<typeof parseDocument>, origin: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 }) ?? {};
  } catch (cause) {
    throw invalid(`${origin}: ${messageOf(cause)}`, cause);
  }
}

/** Variables of other programs of ours, which share the prefix. */
const NOT_OURS = /^BOOTWARD_(?:CONFIG$|ADMIN_|SIGN_|TEST_|DEMO_|E2E_)/;

function settingsIn(environment: Environment): { setting: Setting; value: unknown }[] {
  return Object.entries(environment).flatMap(([variable, text]) => {
    if (!variable.startsWith('BOOTWARD_') || NOT_OURS.test(variable) || text === undefined) return [];
    const setting = SETTINGS.find((candidate) => candidate.variable === variable);
    if (setting === undefined)
      throw invalid(
        `${variable} names no setting: docs/configuration.md lists them, unset it or correct the name`,
      );
    return [{ setting, value: readAs(setting, text) }];
  });
}

/** What does not read as the setting's type stays text, and then validation says what it should be. */
function readAs({ type }: Setting, text: string): unknown {
  if (type === 'list') return text.split(',').map((item) => item.trim());
  if (type === 'integer' && /^(?:0|[1-9][0-9]{0,14})$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function assign(tree: Tree, [name, ...rest]: readonly string[], value: unknown): void {
  if (name === undefined) return;
  if (rest.length === 0) {
    tree[name] = value;
    return;
  }
  const inner = tree[name] ?? {};
  tree[name] = inner;
  if (isTree(inner)) assign(inner, rest, value);
}

function verifyDocument(document: unknown, origin: string): asserts document is ConfigDocument {
  const error = Value.Errors(CONFIG_SCHEMA, document)[0];
  if (error === undefined) return;
  const path = error.instancePath.split('/').slice(1);
  const setting = SETTINGS.find(({ key }) => isWithin(path, key));
  const found = JSON.stringify(path.reduce(memberOf, document));
  if (setting === undefined) throw invalid(sentenceFor(path, found, origin));
  throw invalid(
    `${setting.key}: expected ${setting.expected}, found ${found} (${origin}, or ${setting.variable})`,
  );
}

/** The path of an error lies at a setting or, for an item of a list, below it. */
function isWithin(path: readonly string[], key: string): boolean {
  return path.slice(0, key.split('.').length).join('.') === key;
}

function sentenceFor(path: readonly string[], found: string, origin: string): string {
  const key = path.join('.');
  const below = SETTINGS.filter((setting) => setting.key.startsWith(`${key}.`)).map((setting) => setting.key);
  if (below.length > 0) return `${key}: expected the keys ${below.join(', ')}, found ${found} (${origin})`;
  const near = SETTINGS.filter((setting) => setting.key.startsWith(`${path.slice(0, -1).join('.')}.`));
  const names = (near.length > 0 ? near : SETTINGS).map((setting) => setting.key).join(', ');
  return `${key}: there is no such setting, remove it or correct its name: ${names} (${origin})`;
}

/** sun_path holds 108 bytes with its final zero; a longer path fails at listen with a worse message. */
const MAX_SOCKET_PATH_BYTES = 107;

const VENDORS = fileURLToPath(new URL('../../keys/tpm-vendors', import.meta.url));

function withDefaults(document: ConfigDocument, folder: string): Config {
  const absolute = (path: string): string => resolve(folder, path);
  const dataDir = absolute(document.dataDir);
  const socket = absolute(document.operators.socket ?? join(dataDir, 'operators.sock'));
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES)
    throw invalid(
      `operators.socket: ${socket} is longer than ${MAX_SOCKET_PATH_BYTES} bytes: choose a shorter path`,
    );
  const { rootFile } = document.trust;
  return {
    ...document,
    dataDir,
    operators: { ...document.operators, socket },
    limits: { ...document.limits, verificationThreads: document.limits.verificationThreads ?? spareCores() },
    trust: rootFile === undefined ? {} : { rootFile: absolute(rootFile) },
    tpmVendors: document.tpmVendors?.map(absolute) ?? [VENDORS],
  };
}

/** One core is the event loop's. */
function spareCores(): number {
  return Math.min(Math.max(1, availableParallelism() - 1), MAX_VERIFICATION_THREADS);
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Tree)[name] : undefined;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string, cause?: unknown): ConfigError {
  return new ConfigError('config-invalid', message, { cause });
}
