import type { Facts } from '../node.ts';
import type { Purpose } from '../quote/purpose.ts';
import type { Finding } from '../reasons.ts';
import type { Policy } from './policy.ts';

/** Are the three facts what the policy accepts? Before a node is admitted, only what does not depend on it. */
export function checkFacts(facts: Facts, policy: Policy, purpose: Purpose): Finding[] {
  return [
    ...(policy.identity === 'certified' && facts.identity !== 'certified'
      ? [say('identity-too-low', 'identity', facts.identity, ['certified'], policy)]
      : []),
    ...(purpose === 'enrol' || policy.admission.some((value) => value === facts.admission)
      ? []
      : [say('admission-not-accepted', 'admission', facts.admission, policy.admission, policy)]),
    ...(policy.state.includes(facts.state) || mayBeAsserted(facts, policy, purpose)
      ? []
      : [say('state-not-accepted', 'state', facts.state, policy.state, policy)]),
  ];
}

/** An operator can only vouch for the ROM of a machine that is known: it must be able to enrol before that. */
function mayBeAsserted({ state }: Facts, policy: Policy, purpose: Purpose): boolean {
  return purpose === 'enrol' && state === 'self-reported' && policy.state.includes('rom-asserted');
}

function say(
  code: Finding['code'],
  fact: string,
  found: string,
  accepted: readonly string[],
  { name, version }: Policy,
): Finding {
  return {
    code,
    message: `${fact}: expected ${accepted.join(' or ')} (policy ${name}, version ${version}), it is ${found}`,
  };
}
