import { CodedError, messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { parseStrictYaml } from '../../core/strict-yaml.ts';
import { type PcrRule, type PcrRules, type Policy, QUOTED_PCRS, STAGE0_PCRS } from './policy.ts';
import { findContradiction } from './policy-contradiction.ts';

/** The message begins with the path of what is wrong, as `pcrs.7`. */
export class PolicyError extends CodedError<'policy-invalid'> {
  constructor(path: string, expected: string, cause?: unknown) {
    super('policy-invalid', `${path}: expected ${expected}`, { cause });
  }
}

const FORMAT = 'bootward-policy-v1';
const MAX_POLICY_BYTES = 64 * 1024;
const MAX_LIST = 64;
const MAX_SECONDS = 31_536_000;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const SHA256 = /^[0-9a-f]{64}$/;
const REASON = /^[\x20-\x7e]{1,200}$/;
const HANDOVER_PCR = 14;

/**
 * Reads a policy document (docs/policy.md). Everything that it leaves out and everything it does not know is an error:
 * there is no default that accepts anything.
 *
 * @throws {PolicyError}
 */
export function parsePolicy(text: string): Policy {
  const document = readObject(readText(text), 'the document');
  requireKeys(document, '', REQUIRED, OPTIONAL);
  oneOf(document.format, 'format', [FORMAT]);
  const pcrs = readRules(document.pcrs, 'pcrs');
  const missing = QUOTED_PCRS.find((pcr) => pcrs[pcr] === undefined);
  if (missing !== undefined) throw new PolicyError(`pcrs.${missing}`, 'a rule: every quoted PCR needs one');
  const policy: Policy = {
    name: matching(document.name, 'name', NAME, 'up to 32 lower-case letters, digits and inner hyphens'),
    version: integer(document.version, 'version', { least: 1, most: Number.MAX_SAFE_INTEGER }),
    channels: listOf(document.channels, 'channels', (channel, path) =>
      matching(channel, path, NAME, 'a channel name'),
    ),
    identity: oneOf(document.identity, 'identity', ['certified', 'uncertified']),
    admission: listOf(document.admission, 'admission', (value, path) =>
      oneOf(value, path, ['listed', 'token', 'approved', 'open']),
    ),
    state: listOf(document.state, 'state', (value, path) =>
      oneOf(value, path, ['measured', 'self-reported', 'rom-asserted']),
    ),
    eventLog: oneOf(document.eventLog, 'eventLog', ['required', 'optional']),
    secureBoot: readSecureBoot(document.secureBoot),
    ...(document.baseline !== undefined && {
      baseline: oneOf(document.baseline, 'baseline', ['first-boot', 'approved']),
    }),
    pcrs,
    pcrsAfterHandover: { ...pcrs, ...readAfterHandover(document.afterHandover) },
    ...(document.reattest !== undefined && { reattest: readReattest(document.reattest) }),
  };
  const contradiction = findContradiction(policy);
  if (contradiction) throw new PolicyError(contradiction.path, contradiction.expected);
  return policy;
}

const REQUIRED = [
  'format',
  'name',
  'version',
  'channels',
  'identity',
  'admission',
  'state',
  'eventLog',
  'secureBoot',
  'pcrs',
];
const OPTIONAL = ['baseline', 'afterHandover', 'reattest'];

function readText(text: string): JsonValue {
  try {
    return parseStrictYaml(text, { maxBytes: MAX_POLICY_BYTES });
  } catch (cause) {
    throw new PolicyError('the document', `YAML or JSON (${messageOf(cause)})`, cause);
  }
}

function readSecureBoot(value: JsonValue | undefined): Policy['secureBoot'] {
  const secureBoot = readObject(value, 'secureBoot');
  requireKeys(secureBoot, 'secureBoot.', ['state', 'db'], []);
  const { db } = secureBoot;
  return {
    state: oneOf(secureBoot.state, 'secureBoot.state', ['required', 'optional']),
    db:
      db === 'any'
        ? 'any'
        : listOf(db, 'secureBoot.db', (item, path) =>
            matching(item, path, SHA256, '64 lower-case hex digits'),
          ),
  };
}

function readAfterHandover(value: JsonValue | undefined): PcrRules {
  if (value === undefined) return {};
  const after = readObject(value, 'afterHandover');
  requireKeys(after, 'afterHandover.', ['pcrs'], []);
  return readRules(after.pcrs, 'afterHandover.pcrs');
}

function readReattest(value: JsonValue): NonNullable<Policy['reattest']> {
  const reattest = readObject(value, 'reattest');
  requireKeys(reattest, 'reattest.', ['everySeconds', 'graceSeconds'], []);
  return {
    everySeconds: integer(reattest.everySeconds, 'reattest.everySeconds', { least: 60, most: MAX_SECONDS }),
    graceSeconds: integer(reattest.graceSeconds, 'reattest.graceSeconds', { least: 0, most: MAX_SECONDS }),
  };
}

function readRules(value: JsonValue | undefined, path: string): PcrRules {
  const entries = Object.entries(readObject(value, path)).map(([key, rule]) => {
    const pcr = QUOTED_PCRS.find((candidate) => String(candidate) === key);
    if (pcr === undefined)
      throw new PolicyError(
        `${path}.${key.slice(0, 20)}`,
        `one of the quoted PCRs ${QUOTED_PCRS.join(', ')}`,
      );
    return [pcr, readRule(rule, pcr, `${path}.${pcr}`)] as const;
  });
  return Object.fromEntries(entries);
}

/** PCR 14 tells before from after the hand-over, and nothing else tells that: its rule is not a choice. */
function readRule(value: JsonValue, pcr: number, path: string): PcrRule {
  if (pcr === HANDOVER_PCR) return { kind: oneOf(value, path, ['release']) };
  if (typeof value === 'string') {
    const words = STAGE0_PCRS.includes(pcr)
      ? (['baseline', 'zero', 'stage0'] as const)
      : (['baseline', 'zero'] as const);
    return { kind: oneOf(value, path, words) };
  }
  const rule = readObject(value, path);
  const [kind, ...others] = Object.keys(rule);
  if (others.length === 0 && kind === 'ignore')
    return {
      kind,
      reason: matching(rule.ignore, `${path}.ignore`, REASON, 'the reason, in up to 200 characters'),
    };
  if (others.length === 0 && kind === 'values')
    return {
      kind,
      accepted: listOf(rule.values, `${path}.values`, (item, itemPath) =>
        matching(item, itemPath, SHA256, '64 lower-case hex digits'),
      ),
    };
  throw new PolicyError(
    path,
    'a rule: baseline, zero, stage0 (PCR 4 and 11), { values: [...] } or { ignore: reason }',
  );
}

function readObject(value: JsonValue | undefined, path: string): JsonObject {
  if (!isJsonObject(value) || Object.keys(value).length === 0)
    throw new PolicyError(path, 'a mapping with something in it');
  return value;
}

function requireKeys(
  from: JsonObject,
  prefix: string,
  required: readonly string[],
  optional: readonly string[],
): void {
  const missing = required.find((key) => from[key] === undefined);
  if (missing !== undefined) throw new PolicyError(`${prefix}${missing}`, 'it to be there');
  const unknown = Object.keys(from).find((key) => !required.includes(key) && !optional.includes(key));
  if (unknown !== undefined)
    throw new PolicyError(
      `${prefix}${unknown.slice(0, 40)}`,
      `one of ${[...required, ...optional].join(', ')}`,
    );
}

function oneOf<const Value extends string>(
  value: JsonValue | undefined,
  path: string,
  values: readonly Value[],
): Value {
  const found = values.find((candidate) => candidate === value);
  if (found === undefined) throw new PolicyError(path, values.map((word) => `"${word}"`).join(' or '));
  return found;
}

function matching(value: JsonValue | undefined, path: string, pattern: RegExp, expected: string): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw new PolicyError(path, expected);
  return value;
}

function integer(
  value: JsonValue | undefined,
  path: string,
  { least, most }: { least: number; most: number },
): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw new PolicyError(path, `a whole number from ${least} to ${most}`);
  return value;
}

function listOf<Item extends string>(
  value: JsonValue | undefined,
  path: string,
  read: (item: JsonValue, path: string) => Item,
): Item[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LIST)
    throw new PolicyError(path, `a list of 1 to ${MAX_LIST}`);
  const items = value.map((item, index) => read(item, `${path}.${index}`));
  if (new Set(items).size !== items.length) throw new PolicyError(path, 'each of them once');
  return items;
}
