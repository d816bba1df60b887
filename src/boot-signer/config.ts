import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Value } from 'typebox/value';
import { messageOf } from '../core/errors.ts';
import { parseStrictYaml } from '../core/strict-yaml.ts';
import { type KeyReference, parseKeyReference } from '../signing/keys/key-reference.ts';
import type { SecretSource } from '../signing/keys/secret-source.ts';
import { keyIdOf, keyMaterialOf, type TufKey, tufKeyOf } from '../signing/public-key.ts';
import { CONFIG_SCHEMA, type ConfigDocument } from './config-schema.ts';
import { SignerStateError } from './errors.ts';
import { isImageType } from './image-documents.ts';
import { FIRST_SECRET_DESCRIPTOR } from './key-process/descriptors.ts';
import { ADOPTION_ROLE } from './request-types/adoption.ts';

/** Someone whose approval counts, however many keys they have. */
export interface Approver {
  readonly person: string;
  readonly keys: ReadonlyMap<string, TufKey>;
}

export interface KeyConfig {
  readonly name: string;
  readonly reference: KeyReference;
  readonly secret: SecretSource | undefined;
  readonly signaturesPerMinute: number;
}

export interface RoleConfig {
  readonly role: string;
  readonly keys: readonly string[];
  readonly maxExpiryMs: number;
  /** 0: signed at once. */
  readonly approvals: number;
  readonly people: readonly string[];
  /** Digests of the only images that an image role may sign; any that people approve without. */
  readonly allowedImages?: readonly string[] | undefined;
}

/** Validated, with defaults filled in and every path absolute. */
export interface Config extends Pick<ConfigDocument, 'tcp' | 'artifacts' | 'refresh'> {
  readonly stateDir: string;
  /** Uploaded images, within it. */
  readonly imagesDir: string;
  readonly socket: { readonly path: string; readonly mode: number };
  readonly keys: readonly KeyConfig[];
  readonly roles: ReadonlyMap<string, RoleConfig>;
  readonly approvers: readonly Approver[];
  readonly moduleEnvironment: Readonly<Record<string, string>>;
  readonly requestMs: number;
  readonly maxOpenRequests: number;
  readonly logLevel: string;
}

const MAX_CONFIG_BYTES = 1024 * 1024;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** @throws {SignerStateError} `config-unreadable`, `config-invalid` */
export function loadConfig(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SignerStateError('config-unreadable', `${file}: ${messageOf(cause)}`, { cause });
  }
  try {
    return parseConfig(text, dirname(resolve(file)));
  } catch (cause) {
    throw new SignerStateError('config-invalid', `${file}: ${messageOf(cause)}`, { cause });
  }
}

/** @param folder what relative paths are relative to */
export function parseConfig(text: string, folder: string): Config {
  const document: unknown = structuredClone(parseStrictYaml(text, { maxBytes: MAX_CONFIG_BYTES }));
  requireSchema(document);
  const at = (path: string): string => resolve(folder, path);
  const { tcp, artifacts, refresh } = document;
  const config: Config = {
    stateDir: at(document.stateDir),
    imagesDir: join(at(document.stateDir), 'images'),
    socket: { path: at(document.socket.path), mode: Number.parseInt(document.socket.mode ?? '0660', 8) },
    keys: document.keys.map((key) => ({
      name: key.name,
      reference: parseKeyReference(absoluteIn(key.reference, at)),
      secret: key.secret === undefined ? undefined : secretOf(absoluteIn(key.secret, at)),
      signaturesPerMinute: key.signaturesPerMinute ?? 60,
    })),
    roles: new Map([...document.roles, ...adoptionRoles(document)].map((role) => [role.role, roleOf(role)])),
    approvers: (document.approvers ?? []).map(approverOf),
    moduleEnvironment: document.moduleEnvironment ?? {},
    requestMs: (document.requestHours ?? 24) * HOUR_MS,
    maxOpenRequests: document.maxOpenRequests ?? 100,
    logLevel: document.logLevel ?? 'info',
    ...(artifacts !== undefined && { artifacts: at(artifacts) }),
    ...(refresh !== undefined && { refresh: { ...refresh, repository: at(refresh.repository) } }),
    ...(tcp !== undefined && {
      tcp: {
        ...tcp,
        certificateFile: at(tcp.certificateFile),
        keyFile: at(tcp.keyFile),
        clientCaFile: at(tcp.clientCaFile),
      },
    }),
  };
  requireSense(config, document);
  return config;
}

function requireSchema(document: unknown): asserts document is ConfigDocument {
  const error = Value.Errors(CONFIG_SCHEMA, document)[0];
  if (error === undefined) return;
  const where = error.instancePath.slice(1).replaceAll('/', '.') || 'the document';
  const { description } = (error as { schema?: { description?: string } }).schema ?? {};
  throw new Error(`${where}: ${description === undefined ? error.message : `expected ${description}`}`);
}

function roleOf({ role, keys, maxDays = 0, approvals, images }: ConfigDocument['roles'][number]): RoleConfig {
  return {
    role,
    keys,
    maxExpiryMs: maxDays * DAY_MS,
    approvals: approvals?.count ?? 0,
    people: approvals?.people ?? [],
    ...(images !== undefined && { allowedImages: images }),
  };
}

/** Approved as roles are, and no key signs it. */
function adoptionRoles({ adoption }: ConfigDocument): readonly ConfigDocument['roles'][number][] {
  return adoption === undefined ? [] : [{ role: ADOPTION_ROLE, keys: [], maxDays: 1, ...adoption }];
}

function approverOf({ person, publicKeys }: { person: string; publicKeys: string[] }): Approver {
  const keys = publicKeys.map((pem) => {
    if (!pem.startsWith('-----BEGIN PUBLIC KEY-----'))
      throw new Error(`approver ${person}: a key is no public key in PEM`);
    return tufKeyOf(createPublicKey(pem));
  });
  return { person, keys: new Map(keys.map((key) => [keyIdOf(key), key])) };
}

/** What a schema cannot say: names that are there, nobody twice, nobody's key in two hands. */
function requireSense(config: Config, { roles }: ConfigDocument): void {
  requireDistinct(
    'key',
    config.keys.map(({ name }) => name),
  );
  requireDistinct(
    'role',
    roles.map(({ role }) => role),
  );
  requireDistinct(
    'approver',
    config.approvers.map(({ person }) => person),
  );
  requireDistinct(
    'public key of an approver',
    config.approvers.flatMap(({ keys }) => [...keys.values()].map(keyMaterialOf)),
  );
  for (const { name, secret } of config.keys)
    if (secret?.kind === 'descriptor' && secret.fd < FIRST_SECRET_DESCRIPTOR)
      throw new Error(`key ${name}: descriptors for secrets begin at ${FIRST_SECRET_DESCRIPTOR}`);
  requireImageRoles(config);
  const keys = new Set(config.keys.map(({ name }) => name));
  const people = new Set(config.approvers.map(({ person }) => person));
  for (const role of config.roles.values()) {
    requireDistinct(`key of ${role.role}`, role.keys);
    requireDistinct(`approver of ${role.role}`, role.people);
    requireKnown(`${role.role}: key`, role.keys, keys);
    requireKnown(`${role.role}: approver`, role.people, people);
    if (role.approvals > role.people.length)
      throw new Error(`${role.role}: ${role.approvals} approvals of ${role.people.length} people`);
  }
}

/** Metadata expire, images don't; a key is for one of both, and signs no image that nobody chose. */
function requireImageRoles({ roles }: Config): void {
  const others = new Set([...roles.values()].flatMap(({ role, keys }) => (isImageType(role) ? [] : keys)));
  for (const { role, keys, maxExpiryMs, approvals, allowedImages } of roles.values()) {
    if (isImageType(role) !== (maxExpiryMs === 0))
      throw new Error(`${role}: "maxDays" is for metadata, and needed there`);
    if (!isImageType(role) && allowedImages !== undefined)
      throw new Error(`${role}: "images" is for efi-image and pi-boot-image`);
    if (isImageType(role) && approvals === 0 && allowedImages === undefined)
      throw new Error(`${role}: any image would be signed: say "approvals", or the digests of "images"`);
    const shared = isImageType(role) ? keys.find((key) => others.has(key)) : undefined;
    if (shared !== undefined) throw new Error(`${role}: key ${shared} signs metadata too`);
  }
}

/** Opened as RSA keys for PKCS#1: see RsaPkcs1Signer. */
export function imageKeysOf({ roles }: Config): ReadonlySet<string> {
  return new Set([...roles.values()].flatMap(({ role, keys }) => (isImageType(role) ? keys : [])));
}

function requireDistinct(what: string, values: readonly string[]): void {
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) throw new Error(`${what} ${twice} is there twice`);
}

function requireKnown(what: string, names: readonly string[], known: ReadonlySet<string>): void {
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) throw new Error(`${what} ${unknown} is not known`);
}

function secretOf(text: string): SecretSource {
  const rest = text.slice(text.indexOf(':') + 1);
  if (text.startsWith('fd:')) return { kind: 'descriptor', fd: Number(rest) };
  return text.startsWith('file:') ? { kind: 'file', path: rest } : { kind: 'credential', name: rest };
}

/** `file:PATH` is relative to the configuration's folder too. */
function absoluteIn(reference: string, at: (path: string) => string): string {
  return reference.startsWith('file:') ? `file:${at(reference.slice(5))}` : reference;
}
