import { hash as digestOf } from 'node:crypto';
import { bytesEqual, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import type { EventLog, LogEvent } from '../../tpm/event-log.ts';
import { EVENT_TYPE, eventTypeName } from '../../tpm/event-types.ts';
import { formatGuid, GUID_BYTES } from '../../tpm/uefi-guid.ts';
import { readUefiVariable, type UefiVariableData } from '../../tpm/uefi-variable-data.ts';
import type { VerifiedQuote } from '../quote/quote.ts';
import { type Finding, findingOf, Refusal } from '../reasons.ts';
import {
  checkDatabase,
  type DatabaseEntry,
  isSignatureLists,
  noteDatabase,
  readDatabaseEntries,
} from './secure-boot-db.ts';

export interface SecureBootPolicy {
  /** Hex SHA-256 of everything that `db` may hold. */
  db: 'any' | readonly string[];
}

const SECURE_BOOT_PCR = 7;
const GLOBAL_VARIABLE = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const SECURITY_DATABASE = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const DEBUG_MODE = 'UEFI Debug Mode';

interface Measured {
  event: LogEvent;
  variable: UefiVariableData | undefined;
}

/**
 * Does the log of PCR 7 prove that firmware verified what it started, and with whose certificates? The log must
 * have replayed to the quoted PCR 7 already. Names and values count only where an event's digest covers the whole of its
 * data (PFP, section 3.3.4.8), for an event type is nobody's word: what firmware measured as "SecureBoot is off" must not pass
 * for something else.
 */
export function checkSecureBoot(on: {
  log: EventLog;
  hash: HashAlgorithm;
  quote: VerifiedQuote;
  policy: SecureBootPolicy;
}): Finding[] {
  const { log, hash, quote, policy } = on;
  try {
    if (!quote.pcrs.has(SECURE_BOOT_PCR)) unproven('PCR 7 is not quoted');
    const measured = readMeasured(log, hash);
    const separator = measured.findIndex(({ event }) => event.type === EVENT_TYPE.EV_SEPARATOR);
    const configured = measured.slice(0, Math.max(separator, 0));
    requireSwitchedOn(configured);
    requireKeys(configured);
    const db = readDatabase(configured);
    requireAuthority(measured, db);
    return [noteDatabase(db), ...(policy.db === 'any' ? [] : checkDatabase(db, policy.db))];
  } catch (cause) {
    return [findingOf(cause)];
  }
}

function unproven(what: string): never {
  throw new Refusal('secure-boot-unproven', `PCR 7: expected proof of Secure Boot, ${what}`);
}

/**
 * Up to the separator every event must be proven whole. After it others measure what they like (shim, in more ways
 * than one): what is not proven there counts as nothing.
 */
function readMeasured(log: EventLog, hash: HashAlgorithm): Measured[] {
  const bank = log.hashes.indexOf(hash);
  const events = log.events.filter(
    ({ pcr, type }) => pcr === SECURE_BOOT_PCR && type !== EVENT_TYPE.EV_NO_ACTION,
  );
  const separator = events.findIndex(({ type }) => type === EVENT_TYPE.EV_SEPARATOR);
  return events.flatMap((event, index) => {
    const digest = event.digests[bank];
    if (digest !== undefined && bytesEqual(digestOf(hash.name, event.data, 'buffer'), digest))
      return [{ event, variable: readUefiVariable(event.data) }];
    if (index <= separator)
      unproven(`the digest of ${eventTypeName(event.type)} does not cover all of its data`);
    return [];
  });
}

/** Exactly one word on it, of the type for it, before the separator. */
function requireSwitchedOn(configured: readonly Measured[]): void {
  const state = variablesNamed(configured, 'SecureBoot', GLOBAL_VARIABLE);
  const [only, ...others] = state;
  if (only === undefined || others.length > 0 || only.event.type !== EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG)
    unproven(`its variable is measured ${state.length} times`);
  if (!isOn(only))
    throw new Refusal('secure-boot-required', 'PCR 7: expected Secure Boot on, firmware measured it off');
  if (variablesNamed(configured, 'AuditMode', GLOBAL_VARIABLE).some(isOn))
    unproven('firmware is in audit mode: it starts what it does not trust');
  if (configured.some(({ event }) => Buffer.from(event.data).toString('latin1').startsWith(DEBUG_MODE)))
    unproven('firmware is in debug mode');
}

function isOn({ variable }: Measured): boolean {
  return variable?.content.length === 1 && variable.content[0] === 1;
}

function variablesNamed(measured: readonly Measured[], name: string, guid: string): Measured[] {
  return measured.filter(({ variable }) => isVariable(variable, name, guid));
}

function isVariable(
  variable: UefiVariableData | undefined,
  name: string,
  guid: string,
): variable is UefiVariableData {
  return variable?.name === name && formatGuid(variable.vendorGuid) === guid;
}

function readDatabase(configured: readonly Measured[]): DatabaseEntry[] {
  const { content } = onlyVariable(
    configured.filter((measured) => !isEarlyAuthority(measured)),
    'db',
    SECURITY_DATABASE,
  );
  try {
    return readDatabaseEntries(content);
  } catch (cause) {
    throw new Refusal('secure-boot-unproven', `PCR 7: db cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/**
 * An option ROM may be verified before the separator (PFP, section 3.3.4.8): {@link requireAuthority} judges by
 * what. One entry of db carries its name and is no list of entries; a list that the log calls an authority, or
 * anything else, is another db all the same.
 */
function isEarlyAuthority({ event, variable }: Measured): boolean {
  return (
    isAuthority(event) && isVariable(variable, 'db', SECURITY_DATABASE) && !isSignatureLists(variable.content)
  );
}

function isAuthority({ type }: LogEvent): boolean {
  return type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY;
}

/** PFP, section 3.3.4.8: all of these are measured, what is not there as a variable without content. */
function requireKeys(configured: readonly Measured[]): void {
  for (const name of ['PK', 'KEK'])
    if (onlyVariable(configured, name, GLOBAL_VARIABLE).content.length === 0)
      unproven(`${name} is empty: anybody may change what firmware trusts`);
  onlyVariable(configured, 'dbx', SECURITY_DATABASE);
}

function onlyVariable(configured: readonly Measured[], name: string, guid: string): UefiVariableData {
  const [only, ...others] = variablesNamed(configured, name, guid);
  if (only?.variable === undefined || others.length > 0)
    unproven(`${name} is measured ${others.length + (only ? 1 : 0)} times`);
  return only.variable;
}

/** Something was verified, and by an entry of the very db that was measured. */
function requireAuthority(measured: readonly Measured[], db: readonly DatabaseEntry[]): void {
  const authorities = measured.flatMap(({ event, variable }) =>
    isAuthority(event) && isVariable(variable, 'db', SECURITY_DATABASE)
      ? [variable.content.subarray(GUID_BYTES)]
      : [],
  );
  if (authorities.length === 0) unproven('nothing that firmware started was verified with db');
  for (const entry of authorities) {
    const names = [digestOf('sha256', entry), toHex(entry)];
    if (!db.some(({ sha256 }) => names.includes(sha256)))
      unproven(`something was verified with ${names[0]}, which is not in the db that was measured`);
  }
}
