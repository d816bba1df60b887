import { canonicalize } from '@tufjs/canonical-json';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { type Draft, unsignedFile } from './draft.ts';
import { SIGNED_AT_FIELD } from './envelope.ts';
import { parseTimestamp } from './meta-files.ts';
import type { Proposal } from './proposal.ts';
import type { RoleRule } from './role-keys.ts';
import { GRANT_KEYS_FIELD, parseRoot, type RootMetadata, TOP_LEVEL_ROLES } from './root.ts';
import { timeOf } from './signed-at.ts';
import { parseTargets, type TargetsMetadata } from './targets.ts';
import type { TrustedMetadata } from './verify-metadata.ts';

/**
 * What whoever signs a proposal is about to say, a line for each change.
 *
 * @param current what is in force, verified; undefined for a new repository
 */
export function describeProposal(
  { drafts }: Pick<Proposal, 'drafts'>,
  current: TrustedMetadata | undefined,
): readonly string[] {
  return drafts.flatMap((draft) => withTitle(draft, changesOf(draft, current), 'says the same as before'));
}

/** All that one file says, of any role, when nothing is known of what was in force before. */
export function describeContent(draft: Draft): readonly string[] {
  return withTitle(draft, contentOf(draft), 'lists nothing');
}

function withTitle(
  { role, version, signed }: Draft,
  lines: readonly string[],
  none: string,
): readonly string[] {
  const said = lines.length === 0 ? [none] : lines;
  const title = `${role} version ${version}, good until ${String(signed.expires)}`;
  return [title, ...[...said, ...unreadMembers(signed)].map((line) => `  ${line}`)];
}

function changesOf(draft: Draft, current: TrustedMetadata | undefined): readonly string[] {
  if (draft.role === 'root') return rootChanges(parseRoot(unsignedFile(draft.canonical)), current?.root);
  if (draft.role === 'targets')
    return ruleChanges(
      rulesOfTargets(parseTargets(unsignedFile(draft.canonical))),
      rulesOfTargets(current?.targets),
    );
  const before = current?.delegated.find(({ delegation }) => delegation.role === draft.role);
  const changes = targetChanges(objectOf(draft.signed.targets), before?.metadata.targets ?? {});
  return changes.length === 0 && before === undefined ? ['is new, and lists nothing'] : changes;
}

function contentOf(draft: Draft): readonly string[] {
  if (draft.role === 'root') {
    const root = parseRoot(unsignedFile(draft.canonical));
    return [...rulesIn(rulesOfRoot(root)), ...[...root.grantKeys.keys()].map((id) => `grant key ${id}`)];
  }
  if (draft.role === 'targets') return rulesIn(rulesOfTargets(parseTargets(unsignedFile(draft.canonical))));
  const { targets, meta } = draft.signed;
  const listed = Object.entries(objectOf(targets ?? meta)).map(
    ([name, entry]) => `lists ${name}${wordsOf(entry)}`,
  );
  return draft.role === 'timestamp' ? [...listed, ...timeIn(draft)] : listed;
}

function timeIn({ canonical }: Draft): readonly string[] {
  const { signedAtSeconds } = parseTimestamp(unsignedFile(canonical));
  return signedAtSeconds === undefined ? [] : [`says it was signed at ${timeOf(signedAtSeconds)}`];
}

/** Who may sign, by role. By key id: a key of a kind that we don't know is shown like any other. */
type Rules = ReadonlyMap<string, RoleRule>;

function rulesOfRoot(root: RootMetadata | undefined): Rules {
  return new Map(root === undefined ? [] : TOP_LEVEL_ROLES.map((role) => [role, root.rules[role]]));
}

function rulesOfTargets(targets: TargetsMetadata | undefined): Rules {
  return new Map(targets?.delegations.map(({ role, rule }) => [role, rule]));
}

function rulesIn(rules: Rules): readonly string[] {
  return [...rules].map(([role, rule]) => `${role}: ${ruleWords(rule)}: ${rule.keyIds.join(', ')}`);
}

function rootChanges(now: RootMetadata, before: RootMetadata | undefined): readonly string[] {
  const grant = setChanges([...now.grantKeys.keys()], [...(before?.grantKeys.keys() ?? [])]);
  return [
    ...ruleChanges(rulesOfRoot(now), rulesOfRoot(before)),
    ...grant.map((change) => `grant key ${change}`),
  ];
}

function ruleChanges(now: Rules, before: Rules): readonly string[] {
  const lines = [...now].flatMap(([role, rule]) => {
    const was = before.get(role);
    const keys = setChanges(rule.keyIds, was?.keyIds ?? []);
    if (keys.length === 0 && was?.threshold === rule.threshold) return [];
    const from = was === undefined ? 'new' : `was ${was.threshold} of ${was.keyIds.length}`;
    return [[`${role}: ${ruleWords(rule)} (${from})`, ...keys].join(', ')];
  });
  const gone = [...before.keys()].filter((role) => !now.has(role));
  return [...lines, ...gone.map((role) => `REMOVES ${role}`)];
}

function ruleWords({ threshold, keyIds }: RoleRule): string {
  return `${threshold} of ${keyIds.length} keys`;
}

function setChanges(now: readonly string[], before: readonly string[]): readonly string[] {
  const added = now.filter((id) => !before.includes(id)).map((id) => `adds ${id}`);
  const removed = before.filter((id) => !now.includes(id)).map((id) => `removes ${id}`);
  return [...added, ...removed];
}

function targetChanges(now: JsonObject, before: JsonObject): readonly string[] {
  return [
    ...Object.keys(now)
      .filter((target) => !Object.hasOwn(before, target))
      .map((target) => `lists ${target}${wordsOf(now[target])}`),
    ...Object.keys(before)
      .filter((target) => !Object.hasOwn(now, target))
      .map((target) => `withdraws ${target}${nameOf(before[target])}`),
    ...Object.keys(now)
      .filter((target) => Object.hasOwn(before, target) && !isSame(now[target], before[target]))
      .flatMap((target) => [
        `CHANGES ${target}, which is listed already`,
        `  from${wordsOf(before[target])}`,
        `  to${wordsOf(now[target])}`,
      ]),
  ];
}

/** Everything that a listing says: what a build measures is as good as its hash to whoever appraises it. */
function wordsOf(entry: JsonValue | undefined): string {
  const { hashes, length, custom, ...others } = objectOf(entry);
  const { name: _, ...values } = objectOf(custom);
  const words = Object.entries({ ...values, ...others }).map(([key, value]) => `, ${key} ${textOf(value)}`);
  return `${nameOf(entry)}, SHA-256 ${String(objectOf(hashes).sha256)}, ${String(length)} bytes${words.join('')}`;
}

function nameOf(entry: JsonValue | undefined): string {
  const { name } = objectOf(objectOf(entry).custom);
  return name === undefined ? '' : ` ${JSON.stringify(name)}`;
}

function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const READ_MEMBERS: ReadonlySet<string> = new Set([
  ...['_type', 'spec_version', 'version', 'expires', 'consistent_snapshot', 'keys', 'roles'],
  ...['targets', 'delegations', 'meta', GRANT_KEYS_FIELD, SIGNED_AT_FIELD],
]);

/** TUF readers pass over members that they don't know; whoever signs them should not. */
function unreadMembers(signed: JsonObject): readonly string[] {
  return Object.entries(signed)
    .filter(([member]) => !READ_MEMBERS.has(member))
    .map(([member, value]) => `SAYS MORE: ${member} ${textOf(value)}`);
}

function isSame(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  return canonicalize(one ?? null) === canonicalize(other ?? null);
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
