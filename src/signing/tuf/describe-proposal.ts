import { canonicalize } from '@tufjs/canonical-json';
import { isJsonObject, type JsonObject } from '../../core/strict-json.ts';
import { keyIdOf } from '../public-key.ts';
import type { RoleKeyring } from './compose.ts';
import { type Draft, encodeDraft } from './draft.ts';
import { isSameRing } from './keyrings.ts';
import type { Proposal } from './proposal.ts';
import type { RoleKeys, RoleRule } from './role-keys.ts';
import { parseRoot, TOP_LEVEL_ROLES } from './root.ts';
import { parseTargets } from './targets.ts';

/** What whoever signs a proposal is about to say, a line for each change. */
export function describeProposal({ drafts, base }: Proposal): readonly string[] {
  return drafts.flatMap((draft) => {
    const before = base.find(({ role }) => role === draft.role);
    const title = `${draft.role} version ${draft.version}, good until ${String(draft.signed.expires)}`;
    const changes = changesOf(draft, before).map((change) => `  ${change}`);
    return [title, ...(changes.length === 0 ? ['  says the same as before'] : changes)];
  });
}

function changesOf(draft: Draft, before: Draft | undefined): readonly string[] {
  if (draft.role === 'root') return rootChanges(draft, before);
  if (draft.role === 'targets')
    return ringChanges(delegatedRings(draft), before === undefined ? new Map() : delegatedRings(before));
  return targetChanges(targetsIn(draft), before === undefined ? {} : targetsIn(before));
}

type Rings = ReadonlyMap<string, RoleKeyring>;

function rootChanges(draft: Draft, before: Draft | undefined): readonly string[] {
  const now = parseRoot(encodeDraft(draft));
  const was = before && parseRoot(encodeDraft(before));
  const ringsOf = (root: typeof now): Rings =>
    new Map(TOP_LEVEL_ROLES.map((role) => [role, ringOf(root.rules[role], root.keys)]));
  const grant = setChanges([...now.grantKeys.keys()], [...(was?.grantKeys.keys() ?? [])]);
  return [
    ...ringChanges(ringsOf(now), was === undefined ? new Map() : ringsOf(was)),
    ...grant.map((change) => `grant key ${change}`),
  ];
}

function delegatedRings(draft: Draft): Rings {
  const { delegations, keys } = parseTargets(encodeDraft(draft));
  return new Map(delegations.map(({ role, rule }) => [role, ringOf(rule, keys)]));
}

function ringChanges(now: Rings, before: Rings): readonly string[] {
  const changed = [...now].filter(([role, ring]) => !isSameRing(before.get(role), ring));
  const gone = [...before.keys()].filter((role) => !now.has(role)).map((role) => `REMOVES ${role}`);
  const lines = changed.map(([role, ring]) => {
    const was = before.get(role);
    const keys = setChanges(ring.keys.map(keyIdOf), was?.keys.map(keyIdOf) ?? []);
    const rule = `${ring.threshold} of ${ring.keys.length} keys`;
    const from = was === undefined ? 'new' : `was ${was.threshold} of ${was.keys.length}`;
    return [`${role}: ${rule} (${from})`, ...keys].join(', ');
  });
  return [...lines, ...gone];
}

function targetChanges(now: JsonObject, before: JsonObject): readonly string[] {
  return [
    ...Object.keys(now)
      .filter((target) => !Object.hasOwn(before, target))
      .map((target) => `lists ${target}${nameOf(now[target])}, SHA-256 ${digestOf(now[target])}`),
    ...Object.keys(before)
      .filter((target) => !Object.hasOwn(now, target))
      .map((target) => `withdraws ${target}${nameOf(before[target])}`),
    ...Object.keys(now)
      .filter((target) => Object.hasOwn(before, target) && !isSame(now[target], before[target]))
      .map((target) => `CHANGES ${target}, which is listed already`),
  ];
}

function setChanges(now: readonly string[], before: readonly string[]): readonly string[] {
  const added = now.filter((id) => !before.includes(id)).map((id) => `adds ${id}`);
  const removed = before.filter((id) => !now.includes(id)).map((id) => `removes ${id}`);
  return [...added, ...removed];
}

function ringOf({ keyIds, threshold }: RoleRule, keys: RoleKeys): RoleKeyring {
  return { threshold, keys: keyIds.flatMap((keyId) => keys.get(keyId) ?? []) };
}

function targetsIn({ signed }: Draft): JsonObject {
  return isJsonObject(signed.targets) ? signed.targets : {};
}

function nameOf(target: JsonObject[string] | undefined): string {
  const custom = isJsonObject(target) && isJsonObject(target.custom) ? target.custom : {};
  return typeof custom.name === 'string' ? ` "${custom.name}"` : '';
}

function isSame(one: JsonObject[string] | undefined, other: JsonObject[string] | undefined): boolean {
  return canonicalize(one ?? null) === canonicalize(other ?? null);
}

function digestOf(target: JsonObject[string] | undefined): string {
  const hashes = isJsonObject(target) && isJsonObject(target.hashes) ? target.hashes : {};
  return String(hashes.sha256);
}
