import { keyMaterialOf, verifySignature } from '../public-key.ts';
import { type Draft, encodeDraft } from './draft.ts';
import { TufError } from './errors.ts';
import type { RoleKeys, RoleRule } from './role-keys.ts';
import { parseRoot, type RootMetadata, TOP_LEVEL_ROLES, type TopLevelRole } from './root.ts';
import { parseTargets, type TargetsMetadata } from './targets.ts';

/** Keys that may sign a file, and how many of them must. */
export interface Authority {
  readonly rule: RoleRule;
  readonly keys: RoleKeys;
}

/** What says who may sign: the metadata in force, and what is to come into force with it. */
export interface Authorities {
  readonly root: RootMetadata | undefined;
  readonly targets: TargetsMetadata | undefined;
  readonly drafts: readonly Draft[];
}

/** What an authority still wants of a draft. */
export interface MissingSignatures {
  readonly role: string;
  readonly version: number;
  /** How many more keys must sign. */
  readonly count: number;
  /** Any of these. */
  readonly keyIds: readonly string[];
}

/** A root needs the threshold of the root before it, and its own (5.3.4); any other file one authority's. */
export function authoritiesFor(draft: Draft, known: Authorities): readonly Authority[] {
  const root = draftOf('root', known.drafts, parseRoot) ?? known.root;
  if (root === undefined) return refuse(draft.role);
  if (draft.role === 'root')
    return [
      ...(known.root === undefined ? [] : [authorityIn(known.root, 'root')]),
      authorityIn(root, 'root'),
    ];
  if (isTopLevel(draft.role)) return [authorityIn(root, draft.role)];
  const targets = draftOf('targets', known.drafts, parseTargets) ?? known.targets;
  const rule = targets?.delegations.find(({ role }) => role === draft.role)?.rule;
  return targets === undefined || rule === undefined ? refuse(draft.role) : [{ rule, keys: targets.keys }];
}

/** Empty when the draft is signed by enough of everyone. */
export function missingSignatures(draft: Draft, known: Authorities): readonly MissingSignatures[] {
  return authoritiesFor(draft, known).flatMap(({ rule, keys }) => {
    const signers = new Set<string>();
    const open: string[] = [];
    for (const keyId of rule.keyIds) {
      const key = keys.get(keyId);
      const signature = draft.signatures.get(keyId);
      if (key === undefined) continue;
      if (signature !== undefined && verifySignature(key, draft.canonical, signature))
        signers.add(keyMaterialOf(key));
      else open.push(keyId);
    }
    const count = rule.threshold - signers.size;
    return count <= 0 ? [] : [{ role: draft.role, version: draft.version, count, keyIds: open }];
  });
}

/** Of all keys that may sign a draft, the one with this id. */
export function keyOf(draft: Draft, known: Authorities, keyId: string) {
  for (const { rule, keys } of authoritiesFor(draft, known))
    if (rule.keyIds.includes(keyId)) return keys.get(keyId);
  return undefined;
}

function draftOf<T>(role: string, drafts: readonly Draft[], parse: (bytes: Uint8Array) => T): T | undefined {
  const draft = drafts.find((candidate) => candidate.role === role);
  return draft === undefined ? undefined : parse(encodeDraft(draft));
}

function authorityIn(root: RootMetadata, role: TopLevelRole): Authority {
  return { rule: root.rules[role], keys: root.keys };
}

function isTopLevel(role: string): role is TopLevelRole {
  return TOP_LEVEL_ROLES.some((candidate) => candidate === role);
}

function refuse(role: string): never {
  throw new TufError('tuf-delegation-invalid', `nothing says who may sign ${role}`);
}
