/** A whole policy document for the channel of these tests; `changes` replaces or adds lines by their first key. */
export function policyDocument(changes: Record<string, string> = {}): string {
  const lines: Record<string, string> = {
    format: 'bootward-policy-v1',
    name: 'edge',
    version: '1',
    channels: '[demo]',
    identity: 'certified',
    admission: '[listed, approved]',
    state: '[measured]',
    eventLog: 'required',
    secureBoot: '{ state: required, db: any }',
    baseline: 'first-boot',
    pcrs: RULES,
    ...changes,
  };
  return Object.entries(lines)
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n');
}

const IGNORED = [1, 3, 5, 6, 8, 9].map((pcr) => `${pcr}: { ignore: "moves" }`);

export const RULES = `{ 0: baseline, 2: baseline, 4: stage0, 7: baseline, 11: stage0, 12: zero, 13: zero, 14: release, ${IGNORED.join(', ')} }`;

/** For machines whose PCRs do not say which stage-0 was started. */
export const WITHOUT_STAGE0 = {
  state: '[rom-asserted, self-reported]',
  eventLog: 'optional',
  secureBoot: '{ state: optional, db: any }',
  pcrs: RULES.replaceAll('stage0', '{ ignore: "this machine measures nothing there" }'),
};
