import { type PcrRules, type Policy, QUOTED_PCRS } from './policy.ts';

export interface Contradiction {
  path: string;
  expected: string;
}

/**
 * What each member of a policy may say alone but not together: such a policy would accept whatever comes, or nothing,
 * or something else than it says.
 */
export function findContradiction(policy: Policy): Contradiction | undefined {
  return (
    checkRules(policy.pcrs, { path: 'pcrs', policy }) ??
    checkRules(policy.pcrsAfterHandover, { path: 'afterHandover.pcrs', policy }) ??
    checkLog(policy) ??
    checkBaseline(policy)
  );
}

function checkRules(
  rules: PcrRules,
  { path, policy }: { path: string; policy: Policy },
): Contradiction | undefined {
  const isStage0 = (pcr: number) => rules[pcr]?.kind === 'stage0';
  if (isStage0(4) !== isStage0(11))
    return {
      path: `${path}.${isStage0(4) ? 11 : 4}`,
      expected: 'PCR 4 and 11 both with rule stage0, or neither: they name one image',
    };
  if (!isStage0(4) && policy.state.includes('measured'))
    return {
      path: 'state',
      expected: `no "measured" while PCR 4 and 11 may hold anything but a published stage-0 (${path})`,
    };
  // PCR 14 is the same for every machine before its hand-over.
  if (QUOTED_PCRS.every((pcr) => rules[pcr]?.kind === 'ignore' || rules[pcr]?.kind === 'release'))
    return { path, expected: 'a rule other than ignore beside PCR 14: this would accept any machine' };
  return undefined;
}

function checkLog({ eventLog, secureBoot, state }: Policy): Contradiction | undefined {
  if (eventLog === 'optional' && state.every((value) => value === 'measured'))
    return {
      path: 'eventLog',
      expected: '"required": without a log no node is measured, and nothing else is accepted',
    };
  if (eventLog === 'optional' && secureBoot.state === 'required')
    return { path: 'eventLog', expected: '"required": Secure Boot is proven by the log of PCR 7' };
  if (secureBoot.state === 'optional' && secureBoot.db !== 'any')
    return {
      path: 'secureBoot.state',
      expected: '"required" where db is a list: what db holds is checked with Secure Boot only',
    };
  return undefined;
}

function checkBaseline({ baseline, pcrs, pcrsAfterHandover }: Policy): Contradiction | undefined {
  const isUsed = [pcrs, pcrsAfterHandover].some((rules) =>
    Object.values(rules).some(({ kind }) => kind === 'baseline'),
  );
  if (isUsed === (baseline !== undefined)) return undefined;
  return {
    path: 'baseline',
    expected: isUsed ? '"first-boot" or "approved"' : 'nothing: no PCR has that rule',
  };
}
