import { isDeepStrictEqual } from 'node:util';
import { type PcrRule, type PcrRules, type Policy, QUOTED_PCRS } from './policy.ts';

/** The document of a policy: what `parsePolicy` reads again as the same policy. */
export function formatPolicy(policy: Policy): string {
  const { secureBoot, baseline, reattest, pcrs, pcrsAfterHandover } = policy;
  const db = secureBoot.db === 'any' ? 'any' : listOf(secureBoot.db);
  const later = Object.fromEntries(
    Object.entries(pcrsAfterHandover).filter(([pcr, rule]) => !isDeepStrictEqual(rule, pcrs[Number(pcr)])),
  );
  return [
    'format: bootward-policy-v1',
    `name: ${JSON.stringify(policy.name)}`,
    `version: ${policy.version}`,
    `channels: ${listOf(policy.channels)}`,
    `identity: ${policy.identity}`,
    `admission: ${listOf(policy.admission)}`,
    `state: ${listOf(policy.state)}`,
    `eventLog: ${policy.eventLog}`,
    `secureBoot: { state: ${secureBoot.state}, db: ${db} }`,
    ...(baseline === undefined ? [] : [`baseline: ${baseline}`]),
    'pcrs:',
    ...formatRules(pcrs, '  '),
    ...(Object.keys(later).length === 0 ? [] : ['afterHandover:', '  pcrs:', ...formatRules(later, '    ')]),
    ...(reattest === undefined
      ? []
      : [`reattest: { everySeconds: ${reattest.everySeconds}, graceSeconds: ${reattest.graceSeconds} }`]),
    '',
  ].join('\n');
}

function formatRules(rules: PcrRules, indent: string): string[] {
  return QUOTED_PCRS.flatMap((pcr) =>
    rules[pcr] === undefined ? [] : [`${indent}${pcr}: ${formatRule(rules[pcr])}`],
  );
}

function formatRule(rule: PcrRule): string {
  switch (rule.kind) {
    case 'values':
      return `{ values: ${listOf(rule.accepted)} }`;
    case 'ignore':
      return `{ ignore: ${JSON.stringify(rule.reason)} }`;
    default:
      return rule.kind;
  }
}

/** Quoted: a channel may be called `1e3` or `no`, and a digest may be all digits. */
function listOf(items: readonly string[]): string {
  return `[${items.map((item) => JSON.stringify(item)).join(', ')}]`;
}
