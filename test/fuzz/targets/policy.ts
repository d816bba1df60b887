import { parsePolicy } from '../../../src/attestation/policy/parse-policy.ts';
import { utf8Bytes } from '../../../src/core/bytes.ts';
import { type FuzzTarget, Violation } from '../target.ts';

const RULES = Object.fromEntries(
  [0, 1, 2, 3, 5, 6, 7, 8, 9].map((pcr) => [
    pcr,
    pcr === 0 || pcr === 7 ? 'baseline' : { ignore: 'a reason' },
  ]),
);
const POLICY = {
  format: 'bootward-policy-v1',
  name: 'edge',
  version: 1,
  channels: ['demo'],
  identity: 'certified',
  admission: ['listed', 'token'],
  state: ['measured'],
  eventLog: 'required',
  secureBoot: { state: 'required', db: ['ab'.repeat(32)] },
  baseline: 'first-boot',
  pcrs: { ...RULES, 4: 'stage0', 11: 'stage0', 12: 'zero', 13: 'zero', 14: 'release' },
  afterHandover: { pcrs: { 9: { ignore: 'a reason' }, 8: { values: ['00'.repeat(32)] } } },
  reattest: { everySeconds: 3600, graceSeconds: 900 },
};

export const POLICY_TARGETS: readonly FuzzTarget[] = [
  {
    // What reads as a policy has a rule for every quoted PCR, whatever else is in it.
    name: 'policy',
    format: 'json',
    prepare: () => ({
      seeds: [utf8Bytes(JSON.stringify(POLICY))],
      examine: (input) => {
        const policy = parsePolicy(Buffer.from(input).toString());
        const quoted = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];
        for (const rules of [policy.pcrs, policy.pcrsAfterHandover])
          if (quoted.some((pcr) => rules[pcr] === undefined)) throw new Violation('a quoted PCR has no rule');
        return policy;
      },
    }),
  },
];
