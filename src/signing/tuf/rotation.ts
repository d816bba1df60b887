import type { RootMetadata, TopLevelRole } from './root.ts';

/**
 * 5.3.11: when root has exchanged the keys of timestamp or snapshot, what was seen before under the old
 * ones no longer counts. That is the way back from a thief of online keys who ran the versions up; only
 * root can open it. Root's own version always counts.
 *
 * @param chain from a root at or before the one seen before, to the one in force
 */
export function forgetRotated<Seen extends { readonly version: number }>(
  chain: readonly RootMetadata[],
  previous: ReadonlyMap<string, Seen>,
): ReadonlyMap<string, Seen> {
  const seenRoot = previous.get('root');
  const before = chain.find(({ version }) => version === seenRoot?.version);
  const now = chain.at(-1);
  if (seenRoot === undefined || before === undefined || now === undefined) return previous;
  const kept = (role: TopLevelRole) => hasSameKeys(before, now, role);
  return kept('timestamp') && kept('snapshot') ? previous : new Map([['root', seenRoot]]);
}

function hasSameKeys(before: RootMetadata, now: RootMetadata, role: TopLevelRole): boolean {
  const keys = new Set(before.rules[role].keyIds);
  const others = now.rules[role].keyIds;
  return keys.size === others.length && others.every((keyId) => keys.has(keyId));
}
