import { describe, expect, test } from 'vitest';
import { evidenceDocumentOf } from '../../src/attestation/appraisal.ts';
import { verifyEvidenceDocument } from '../../src/attestation/evidence/evidence-file.ts';
import { asciiBytes, EMPTY, fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import { writeLog } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { config, GUIDS, secureBootEvents } from '../../src/fleet-sim/firmware/secure-boot-events.ts';
import {
  appraisalInput,
  BUILT_IN,
  baselineOf,
  type Changes,
  COUNTERS,
  decide,
  HANDED_OVER,
  LOGLESS,
  NEXT_STAGE0,
  NOW,
  notesIn,
  pcrHex,
  policyWith,
  reasonsIn,
  runningInput,
  SESSION,
  STAGE0,
  stage0Events,
  started,
} from './appraisal-fixture.ts';

const ignore = { kind: 'ignore', reason: 'a reason' } as const;
const extended = (hex: string, ...words: string[]) =>
  toHex(words.reduce((value, word) => sha256(value, sha256(asciiBytes(word))), fromHex(hex)));
/** What a machine without any firmware log can say: nothing is measured but the hand-over. */
const NO_STAGE0 = policyWith(
  { 4: ignore, 11: ignore },
  {
    eventLog: 'optional',
    state: ['self-reported', 'rom-asserted'],
    secureBoot: { state: 'optional', db: 'any' },
  },
);

describe('evidence of a boot', () => {
  test('that is right is accepted: measured, with its stage-0 and a first baseline', () => {
    const appraisal = decide(appraisalInput());
    expect(appraisal).toMatchObject({
      verdict: 'accept',
      reasons: [],
      authentic: true,
      accepted: { state: 'measured', counters: COUNTERS, stage0: { reference: STAGE0, secureBoot: true } },
    });
    expect(appraisal.accepted?.baseline).toEqual(baselineOf(undefined, { approvedAtSeconds: NOW }));
  });

  test.each<[string, Changes]>([
    ['claims-malformed', { claimBytes: asciiBytes('{}') }],
    ['purpose-mismatch', { claims: { purpose: 'enrol' } }],
    ['server-key-mismatch', { claims: { serverKey: '00'.repeat(32) } }],
    ['claims-ek-mismatch', { claims: { ekFingerprint: '00'.repeat(32) } }],
    ['ephemeral-key-mismatch', { connection: { ...appraisalInput().connection, clientSpki: EMPTY } }],
    ['claims-event-log-mismatch', { claims: { eventLogSha256: '00'.repeat(32) } }],
  ])('with claims that do not fit is not authentic: %s', (code, changes) => {
    const appraisal = decide(appraisalInput(changes));
    expect(appraisal).toMatchObject({ verdict: 'refuse', authentic: false });
    expect(reasonsIn(appraisal)).toEqual([code]);
    expect(appraisal.accepted).toBeUndefined();
  });

  test('under another challenge is not authentic, and harms no node', () => {
    const input = appraisalInput({ challenge: 'another.challenge.entirely' });
    const appraisal = decide(input);
    expect(reasonsIn(appraisal)).toEqual(['extra-data-mismatch']);
    expect(appraisal.authentic).toBe(false);
  });

  test('that the TPM signed and the checklist refuses is authentic', () => {
    const appraisal = decide(appraisalInput({ pcrs: { 14: '11'.repeat(32) } }));
    expect(appraisal).toMatchObject({ verdict: 'refuse', authentic: true });
    expect(reasonsIn(appraisal)).toEqual(['pcr14-not-zero']);
  });

  test('E26 is held by counters that went back', () => {
    const counters = { ...COUNTERS, resetCount: COUNTERS.resetCount + 1 };
    const appraisal = decide(appraisalInput({ attester: { counters } }));
    expect([appraisal.verdict, reasonsIn(appraisal)]).toEqual(['hold', ['counters-went-back']]);
    expect(appraisal.accepted).toBeUndefined();
  });

  test('reads alike in the file that is kept of it', () => {
    const attester = { counters: COUNTERS, baseline: baselineOf() };
    const document = verifyEvidenceDocument(evidenceDocumentOf(appraisalInput({ attester })));
    expect([document.verdict, document.reasons]).toEqual(['accept', []]);
  });
});

describe('which stage-0', () => {
  test('another build than the claims say is refused', () => {
    const appraisal = decide(appraisalInput({ claims: { stage0Build: 42 } }));
    expect(appraisal.reasons).toEqual([
      {
        code: 'claims-stage0-mismatch',
        message: 'the node says it runs stage-0 build 42, its PCRs say build 41',
      },
    ]);
  });

  test('P11 one that was withdrawn is refused, with its build and when', () => {
    const withdrawn = { ...STAGE0, listed: false, withdrawnAtSeconds: NOW - 100_000 };
    const appraisal = decide(appraisalInput({ stage0References: [NEXT_STAGE0, withdrawn] }));
    expect(appraisal.reasons).toEqual([
      {
        code: 'stage0-withdrawn',
        message:
          'PCR 4 and PCR 11: stage-0 is x86-64 build 41, withdrawn (27 hours ago); boot a listed build',
      },
    ]);
  });

  test('one that nobody published is refused, with the event that differs', () => {
    const log = writeLog([...stage0Events(), started('something of the attacker')]);
    const { reasons } = decide(appraisalInput({ log, stage0References: [STAGE0] }));
    expect(reasons.map(({ code }) => code)).toEqual(['stage0-not-listed']);
    expect(reasons[0]?.message).toMatch(
      /not what a listed stage-0 leaves there \(listed: x86-64 build 41\); .*EV_EFI_BOOT_SERVICES_APPLICATION.*expected no further event$/,
    );
  });

  test('a log that differs nowhere from the newest build names no event', () => {
    const { message } = decide(
      appraisalInput({ stage0References: [{ ...STAGE0, pcr4SecureBoot: '00'.repeat(32) }] }),
    ).reasons[0] ?? { message: '' };
    expect(message).toMatch(/\(listed: x86-64 build 41\)$/);
  });

  test('a listing without the Authenticode digest still refuses', () => {
    const { authenticodeSha256: _, ...reference } = NEXT_STAGE0;
    expect(reasonsIn(decide(appraisalInput({ stage0References: [reference] })))).toEqual([
      'stage0-not-listed',
    ]);
  });

  test.each([
    ['required', 'refuse', 'secure-boot-required'],
    ['optional', 'accept', 'secure-boot-off'],
  ] as const)('not verified by firmware, where Secure Boot is %s: %s', (state, verdict, code) => {
    const log = writeLog([
      ...stage0Events(secureBootEvents({ on: false })),
      { ...started(''), hashed: asciiBytes('its kernel') },
    ]);
    const policy = { ...BUILT_IN, secureBoot: { state, db: 'any' as const } };
    const reference = { ...STAGE0, pcr4NoSecureBoot: pcrHex(4, log) };
    const appraisal = decide(appraisalInput({ log, policy, stage0References: [reference] }));
    expect(appraisal.verdict).toBe(verdict);
    expect([...reasonsIn(appraisal), ...notesIn(appraisal)]).toContain(code);
  });

  test('verified, but not by PCR 4: PCR 7 alone does not pass for it', () => {
    const appraisal = decide(
      appraisalInput({
        stage0References: [{ ...STAGE0, pcr4SecureBoot: '00'.repeat(32), pcr4NoSecureBoot: pcrHex(4) }],
      }),
    );
    expect(appraisal.reasons).toEqual([
      {
        code: 'secure-boot-required',
        message: 'PCR 4: expected stage-0 verified by Secure Boot, firmware started it without verifying it',
      },
    ]);
  });

  test('where no PCR is asked, the claimed build must be listed, and a note says whose word it is', () => {
    const honest = decide(appraisalInput({ policy: NO_STAGE0, log: undefined }));
    expect(honest).toMatchObject({ verdict: 'accept', accepted: { state: 'self-reported' } });
    expect(notesIn(honest)).toEqual(['event-log-absent', 'stage0-self-reported']);
    expect(honest.accepted?.stage0).toBeUndefined();
    const other = decide(appraisalInput({ policy: NO_STAGE0, log: undefined, claims: { stage0Build: 7 } }));
    expect(reasonsIn(other)).toEqual(['stage0-not-listed']);
    const withdrawn = decide(
      appraisalInput({
        policy: NO_STAGE0,
        log: undefined,
        stage0References: [{ ...STAGE0, listed: false }],
      }),
    );
    expect(reasonsIn(withdrawn)).toEqual(['stage0-not-listed']);
  });

  test.each([STAGE0.architecture, 'another'])(
    'a claimed build that is listed for %s counts for that architecture alone',
    (architecture) => {
      const { reasons } = decide(appraisalInput({ policy: NO_STAGE0, log: undefined, architecture }));
      const message = 'the node says it runs stage-0 build 41, which is not listed for another';
      const refused = [{ code: 'stage0-not-listed', message }];
      expect(reasons).toEqual(architecture === 'another' ? refused : []);
    },
  );
});

describe('the three facts', () => {
  test.each<[string, Changes, string | RegExp]>([
    [
      'identity-too-low',
      { policy: { ...BUILT_IN, identity: 'certified' }, attester: { identity: 'uncertified' } },
      'identity: expected certified (policy built-in, version 1), it is uncertified',
    ],
    [
      'admission-not-accepted',
      { attester: { admission: 'open' } },
      'admission: expected listed or token or approved (policy built-in, version 1), it is open',
    ],
    [
      'state-not-accepted',
      { policy: { ...LOGLESS, state: ['measured'] }, log: undefined },
      'state: expected measured (policy built-in, version 1), it is self-reported',
    ],
  ])('that policy does not accept refuse: %s', (code, changes, message) => {
    const appraisal = decide(appraisalInput(changes));
    expect(appraisal).toMatchObject({ verdict: 'refuse', reasons: [{ code, message }], authentic: true });
  });

  test('a log with stage-0 in its PCRs is measured, whatever an operator asserts', () => {
    const { accepted } = decide(appraisalInput({ policy: LOGLESS, attester: { romAsserted: true } }));
    expect(accepted?.state).toBe('measured');
  });

  test('a log of a policy that does not ask for stage-0 measures nothing', () => {
    expect(decide(appraisalInput({ policy: NO_STAGE0 })).accepted?.state).toBe('self-reported');
  });

  test('rom-asserted comes of an operator only', () => {
    const input = (romAsserted: boolean) =>
      appraisalInput({
        policy: { ...NO_STAGE0, state: ['rom-asserted'] },
        log: undefined,
        attester: { romAsserted },
      });
    expect(decide(input(true)).accepted?.state).toBe('rom-asserted');
    expect(reasonsIn(decide(input(false)))).toEqual(['state-not-accepted']);
  });
});

describe('an enrolment', () => {
  const enrol = (changes: Changes = {}) => decide(appraisalInput({ purpose: 'enrol', ...changes }));

  test('is not asked how the node was admitted, and sets no baseline', () => {
    const appraisal = enrol({ attester: { admission: 'pending' } });
    expect(appraisal.verdict).toBe('accept');
    expect(appraisal.accepted?.baseline).toBeUndefined();
  });

  test('of a machine whose ROM nobody could vouch for yet is let in, where that will count', () => {
    const policy = { ...NO_STAGE0, state: ['rom-asserted' as const] };
    expect(enrol({ policy, log: undefined }).accepted?.state).toBe('self-reported');
    const measured = { ...LOGLESS, state: ['measured' as const] };
    expect(reasonsIn(enrol({ policy: measured, log: undefined }))).toEqual(['state-not-accepted']);
  });

  test('is not held against a baseline', () => {
    const other = baselineOf(undefined, { pcrs: { 0: '00'.repeat(32) } });
    expect(enrol({ attester: { baseline: other } }).verdict).toBe('accept');
  });
});

describe('the baseline', () => {
  const updated = writeLog([
    { pcr: 0, type: 0x08, data: Buffer.from('2.0\0', 'utf16le') },
    ...stage0Events().slice(1),
  ]);
  const baseline = baselineOf();

  test('stays what it is while nothing changes', () => {
    const appraisal = decide(appraisalInput({ attester: { baseline } }));
    expect(appraisal.verdict).toBe('accept');
    expect(appraisal.accepted?.baseline).toBeUndefined();
  });

  test('firmware that nobody approved is held, and the events that differ are told', () => {
    const appraisal = decide(appraisalInput({ log: updated, attester: { baseline } }));
    expect(appraisal).toMatchObject({ verdict: 'hold', authentic: true });
    expect(appraisal.accepted).toBeUndefined();
    expect(appraisal.reasons).toEqual([
      {
        code: 'firmware-changed',
        message: `PCR 0 is ${pcrHex(0, updated).slice(0, 12)}..., approved was ${pcrHex(0).slice(0, 12)}...`,
      },
    ]);
    const [difference] = appraisal.notes.filter(({ code }) => code === 'firmware-difference');
    expect(difference?.message).toMatch(/EV_S_CRTM_VERSION.*2\.0/);
  });

  test('each changed PCR is told, and no PCR that policy ignores', () => {
    const other = secureBootEvents({
      more: [config(GUIDS.GLOBAL_VARIABLE, 'DeployedMode', Uint8Array.of(1))],
    });
    const log = writeLog([
      { pcr: 0, type: 0x08, data: Buffer.from('2.0\0', 'utf16le') },
      ...stage0Events(other).slice(1),
      { pcr: 1, type: 0x80000002, data: config(GUIDS.GLOBAL_VARIABLE, 'Boot0001', EMPTY).data },
    ]);
    const appraisal = decide(appraisalInput({ log, attester: { baseline } }));
    expect(appraisal.reasons.map(({ message }) => message.slice(0, 5))).toEqual(['PCR 0', 'PCR 7']);
  });

  test('a driver that firmware starts before stage-0 is held: it shows in PCR 2', () => {
    const driver = { pcr: 2, type: 0x80000004, data: asciiBytes('a driver'), hashed: asciiBytes('driver') };
    const log = writeLog([driver, ...stage0Events()]);
    expect(reasonsIn(decide(appraisalInput({ log, attester: { baseline } })))).toEqual(['firmware-changed']);
  });

  const approval = (log: Uint8Array) => ({
    id: 1,
    name: 'version 2.0',
    scope: { kind: 'all' } as const,
    pcrs: { 0: pcrHex(0, log), 2: pcrHex(2, log), 7: pcrHex(7, log) },
    verdictId: 1,
    approvedAtSeconds: NOW - 60,
    reason: 'we updated it',
  });

  test('firmware that an operator approved is accepted, and becomes the baseline', () => {
    const { verdict, accepted } = decide(
      appraisalInput({ log: updated, attester: { baseline }, firmwareApprovals: [approval(updated)] }),
    );
    expect(verdict).toBe('accept');
    expect(accepted?.baseline).toEqual(
      baselineOf(updated, { approvedBy: 'firmware-approval', approvedAtSeconds: NOW }),
    );
  });

  test.each([0, 2, 7])('an approval that differs in PCR %d approves nothing', (pcr) => {
    const { pcrs, ...rest } = approval(updated);
    const other = { ...rest, pcrs: { ...pcrs, [pcr]: '00'.repeat(32) } };
    const input = appraisalInput({ log: updated, attester: { baseline }, firmwareApprovals: [other] });
    expect(decide(input).verdict).toBe('hold');
  });

  test('an approval that says nothing of a PCR which is compared approves nothing', () => {
    const policy = policyWith({ 1: { kind: 'baseline' } });
    const input = appraisalInput({
      policy,
      log: updated,
      attester: { baseline },
      firmwareApprovals: [approval(updated)],
    });
    expect(decide(input).verdict).toBe('hold');
  });

  test('where an operator approves the first one too, a node without one is held', () => {
    const policy = policyWith({}, { baseline: 'approved' });
    const held = decide(appraisalInput({ policy }));
    expect([held.verdict, held.reasons]).toEqual([
      'hold',
      [
        {
          code: 'baseline-missing',
          message: 'PCR 0, 2, 7: the policy wants an approved baseline, and this node has none yet',
        },
      ],
    ]);
    const log = appraisalInput().untrustedEvidence.eventLog ?? EMPTY;
    const accepted = decide(appraisalInput({ policy, firmwareApprovals: [approval(log)] }));
    expect(accepted.accepted?.baseline?.approvedBy).toBe('firmware-approval');
    const other = decide(appraisalInput({ policy, firmwareApprovals: [approval(updated)] }));
    expect(reasonsIn(other)).toEqual(['firmware-changed']);
  });

  test('a policy that compares none keeps none', () => {
    const policy = policyWith({ 0: ignore, 2: ignore, 7: ignore });
    expect(decide(appraisalInput({ policy })).accepted?.baseline).toBeUndefined();
  });

  test('without a log the values are kept, and told when they change', () => {
    const first = decide(appraisalInput({ policy: LOGLESS, log: undefined })).accepted?.baseline;
    expect(first?.eventLog).toBeUndefined();
    expect(first?.pcrs).toEqual(baselineOf().pcrs);
    const changed = decide(
      appraisalInput({
        policy: LOGLESS,
        log: undefined,
        pcrs: { 2: '00'.repeat(31).concat('01') },
        attester: { baseline },
      }),
    );
    expect(reasonsIn(changed)).toEqual(['firmware-changed']);
    expect(notesIn(changed)).not.toContain('firmware-difference');
  });
});

describe('evidence of a running system', () => {
  test.each(['health', 'reattest'] as const)('that is right is accepted for %s', (purpose) => {
    const appraisal = decide(runningInput({ purpose }));
    expect(appraisal).toMatchObject({ verdict: 'accept', reasons: [], accepted: { state: 'measured' } });
    expect(appraisal.accepted?.stage0?.reference.build).toBe(41);
    expect(appraisal.accepted?.baseline).toBeUndefined();
  });

  test('P1 is no evidence of a boot', () => {
    expect(reasonsIn(decide(appraisalInput({ pcrs: { 14: HANDED_OVER } })))).toEqual(['pcr14-not-zero']);
  });

  test('without a session is refused', () => {
    const input = runningInput();
    const { session: _, ...attester } = input.attester;
    expect(reasonsIn(decide({ ...input, attester }))).toEqual(['session-missing']);
  });

  test.each([
    ['another release', { releaseDigest: '00'.repeat(32) }, 'pcr14-not-release'],
    ['another power cycle', { resetCount: 6 }, 'session-mismatch'],
    ['another stage-0', { stage0Sha256: NEXT_STAGE0.sha256 }, 'stage0-not-listed'],
  ])('of %s than the one that was granted is refused', (_, changed, code) => {
    const session = { ...SESSION, ...changed };
    expect(reasonsIn(decide(runningInput({ attester: { session } })))).toEqual([code]);
  });

  test('P11 is refused as soon as the stage-0 it was started with is withdrawn', () => {
    const stage0References = [NEXT_STAGE0, { ...STAGE0, listed: false }];
    expect(reasonsIn(decide(runningInput({ stage0References })))).toEqual(['stage0-withdrawn']);
  });

  test('is held by another firmware than the baseline', () => {
    const baseline = { ...baselineOf(), pcrs: { ...baselineOf().pcrs, 7: '00'.repeat(32) } };
    expect(reasonsIn(decide(runningInput({ attester: { baseline } })))).toEqual(['firmware-changed']);
  });

  test('may have extended PCR 8 and 9, which policy ignores', () => {
    const appraisal = decide(runningInput({ pcrs: { 8: '08'.repeat(32), 9: '09'.repeat(32) } }));
    expect(appraisal.verdict).toBe('accept');
    expect(appraisal.notes.filter(({ code }) => code === 'pcr-not-logged')).toHaveLength(2);
  });

  test.each([0, 3, 5, 7])('must not have extended PCR %d', (pcr) => {
    const appraisal = decide(runningInput({ pcrs: { [pcr]: '08'.repeat(32) } }));
    expect(reasonsIn(appraisal)).toContain('event-log-replay-mismatch');
  });

  test.each([12, 13])('must not have extended PCR %d, whose rule is zero', (pcr) => {
    expect(reasonsIn(decide(runningInput({ pcrs: { [pcr]: '08'.repeat(32) } })))).toEqual(['pcr-mismatch']);
  });

  test.each([
    [['enter-initrd']],
    [['enter-initrd', 'leave-initrd']],
    [['enter-initrd', 'leave-initrd', 'sysinit', 'ready']],
    [['sysinit']],
    [['sysinit', 'ready']],
  ])('may have passed the phases %j of systemd', (words) => {
    expect(decide(runningInput({ pcrs: { 11: extended(STAGE0.pcr11, ...words) } })).verdict).toBe('accept');
  });

  test.each([
    [['ready']],
    [['leave-initrd', 'enter-initrd']],
    [['sysinit', 'ready', 'ready']],
    [['enter-initrd', 'sysinit']],
    [['sysinit', 'ready', 'something of the attacker']],
  ])('must not have extended PCR 11 in another way: %j', (words) => {
    const appraisal = decide(runningInput({ pcrs: { 11: extended(STAGE0.pcr11, ...words) } }));
    expect(reasonsIn(appraisal)).toEqual(['stage0-not-listed']);
  });

  test('stage-0 itself must not have passed a phase', () => {
    const appraisal = decide(appraisalInput({ pcrs: { 11: extended(STAGE0.pcr11, 'sysinit') } }));
    expect(reasonsIn(appraisal)).toEqual(['event-log-replay-mismatch']);
  });

  test('follows its own rules where policy has some', () => {
    const pcrsAfterHandover = { ...BUILT_IN.pcrs, 12: ignore };
    const input = runningInput({ policy: { ...BUILT_IN, pcrsAfterHandover }, pcrs: { 12: '08'.repeat(32) } });
    expect(decide(input).verdict).toBe('accept');
    expect(reasonsIn(decide({ ...input, policy: BUILT_IN }))).toEqual(['pcr-mismatch']);
  });
});

describe('a rule for a PCR', () => {
  test('values accepts what it lists and nothing else', () => {
    const policy = (...accepted: string[]) => policyWith({ 3: { kind: 'values', accepted } });
    const other = '33'.repeat(32);
    expect(decide(appraisalInput({ policy: policy(other, pcrHex(3)) })).verdict).toBe('accept');
    const refused = decide(appraisalInput({ policy: policy(other) }));
    expect(refused.reasons).toEqual([
      { code: 'pcr-mismatch', message: `PCR 3 is ${pcrHex(3)}: expected ${other}` },
    ]);
  });

  test('zero accepts no extended PCR', () => {
    const appraisal = decide(appraisalInput({ policy: policyWith({ 3: { kind: 'zero' } }) }));
    expect(reasonsIn(appraisal)).toEqual(['pcr-mismatch']);
  });
});

describe('the file that is kept', () => {
  const verdictOf = (input: ReturnType<typeof appraisalInput>) =>
    verifyEvidenceDocument(evidenceDocumentOf(input)).verdict;

  test.each<[string, ReturnType<typeof appraisalInput>]>([
    ['a boot', appraisalInput()],
    [
      'a running system',
      runningInput({ pcrs: { 9: '09'.repeat(32), 11: extended(STAGE0.pcr11, 'sysinit') } }),
    ],
    [
      'firmware that changed',
      appraisalInput({
        attester: {
          baseline: baselineOf(
            writeLog(
              stage0Events(
                secureBootEvents({
                  db: [asciiBytes('other'), asciiBytes('what stands for the certificate in db')],
                }),
              ),
            ),
          ),
        },
      }),
    ],
    ['a missing baseline', appraisalInput({ policy: policyWith({}, { baseline: 'approved' }) })],
    [
      'a db that policy does not list',
      appraisalInput({ policy: { ...BUILT_IN, secureBoot: { state: 'required', db: ['00'.repeat(32)] } } }),
    ],
    ['a stage-0 that was withdrawn', appraisalInput({ stage0References: [{ ...STAGE0, listed: false }] })],
    [
      'a running stage-0 that was withdrawn',
      runningInput({ stage0References: [NEXT_STAGE0, { ...STAGE0, listed: false }] }),
    ],
    ['no stage-0 at all', appraisalInput({ stage0References: [] })],
    [
      'a build without Secure Boot',
      appraisalInput({
        policy: LOGLESS,
        stage0References: [{ ...STAGE0, pcr4SecureBoot: '00'.repeat(32), pcr4NoSecureBoot: pcrHex(4) }],
      }),
    ],
    ['a policy without stage-0', appraisalInput({ policy: NO_STAGE0, log: undefined })],
  ])('decides alike on %s', (_, input) => {
    expect(verdictOf(input)).toBe(decide(input).verdict);
  });
});
