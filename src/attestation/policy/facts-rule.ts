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
    ...(policy.state.includes(facts.state)
      ? []
      : [say('state-not-accepted', 'state', facts.state, policy.state, policy)]),
  ];
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
