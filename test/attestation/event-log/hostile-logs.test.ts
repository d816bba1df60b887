import { describe, expect, it } from 'vitest';
import { EVIDENCE_LOG_LIMITS } from '../../../src/attestation/event-log/event-log-appraisal.ts';
import { verifyEvidence } from '../../../src/attestation/verify.ts';
import { asciiBytes, concatBytes, EMPTY, sha256 } from '../../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  ACTION_DATA,
  bootEvents,
  SEPARATOR_DATA,
  variableData,
  type WrittenEvent,
  writeEvent,
  writeHeader,
  writeLog,
} from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import {
  BOOT_LOG,
  codesOf,
  POLICY,
  pcrsOf,
  sealEvidence,
  validInput,
  verdictOnLog,
} from '../evidence-fixture.ts';

const PCRS = pcrsOf(BOOT_LOG);
/** The quote stays that of the honest log; only the log is changed. */
const codesUnderHonestQuote = (log: Uint8Array) => codesOf(verdictOnLog(log, PCRS));
/** The quote agrees with the changed log: an attacker controlled the boot. */
const codesUnderOwnQuote = (log: Uint8Array) => codesOf(verdictOnLog(log));
const withEvents = (...events: WrittenEvent[]) => writeLog([...bootEvents(), ...events]);
const without = (predicate: (event: WrittenEvent) => boolean) =>
  writeLog(bootEvents().filter((event) => !predicate(event)));
const replaced = (predicate: (event: WrittenEvent) => boolean, change: Partial<WrittenEvent>) =>
  writeLog(bootEvents().map((event) => (predicate(event) ? { ...event, ...change } : event)));
const rawEvent = (pcr: number, type: number, count: number, rest: Uint8Array) => {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(pcr >>> 0, 0);
  head.writeUInt32LE(type >>> 0, 4);
  head.writeUInt32LE(count >>> 0, 8);
  return concatBytes(BOOT_LOG, head, rest);
};
const digestOf = (id: number, size: number) =>
  concatBytes(Uint8Array.of(id & 0xff, id >> 8), new Uint8Array(size));
const separatorOf = (pcr: number, data: Uint8Array): WrittenEvent => ({
  pcr,
  type: EVENT_TYPE.EV_SEPARATOR,
  data,
});
const ipl = (data: string): WrittenEvent => ({ pcr: 8, type: 0x0d, data: asciiBytes(data) });

describe('the shape of the log', () => {
  it('L1 refuses a log cut off inside an event, at every byte of the last one', () => {
    const last = bootEvents().at(-1);
    if (last === undefined) throw new Error('the boot has no events');
    for (let cut = 1; cut < writeEvent(last).length; cut += 1)
      expect(codesUnderHonestQuote(BOOT_LOG.subarray(0, BOOT_LOG.length - cut))).toEqual([
        'event-log-malformed',
      ]);
  });

  it('L2 refuses a log cut off between events', () => {
    expect(codesUnderHonestQuote(writeLog(bootEvents().slice(0, -1)))).toEqual(['event-log-replay-mismatch']);
  });

  it.each([1, 16, 64])('L3 refuses %d zero bytes behind the log', (count) => {
    const codes = codesUnderHonestQuote(concatBytes(BOOT_LOG, new Uint8Array(count)));
    expect(codes).toEqual([count % 16 === 0 ? 'event-log-bank-missing' : 'event-log-malformed']);
  });

  it('L4 refuses 0xff bytes behind the log', () => {
    expect(codesUnderHonestQuote(concatBytes(BOOT_LOG, new Uint8Array(64).fill(0xff)))).toEqual([
      'event-log-malformed',
    ]);
  });

  it.each<[string, Uint8Array]>([
    ['L5 refuses an event of 4 GiB', rawEvent(8, 13, 0, new Uint8Array(4).fill(0xff))],
    ['L7 refuses 2^32 - 1 digests', rawEvent(8, 13, 0xffff_ffff, EMPTY)],
    [
      'L8 refuses two digests of one algorithm',
      rawEvent(8, 13, 2, concatBytes(digestOf(11, 32), digestOf(11, 32))),
    ],
    ['L10 refuses a digest of an undeclared algorithm', rawEvent(8, 13, 1, digestOf(4, 20))],
    ['L29 refuses PCR 24', rawEvent(24, 13, 1, concatBytes(digestOf(11, 32), new Uint8Array(4)))],
    ['L30 refuses PCR -1', rawEvent(-1, 13, 1, concatBytes(digestOf(11, 32), new Uint8Array(4)))],
  ])('%s', (_name, log) => {
    expect(codesUnderHonestQuote(log)).toEqual(['event-log-malformed']);
  });

  it('L6 refuses an event without digests', () => {
    expect(codesUnderHonestQuote(rawEvent(8, 13, 0, new Uint8Array(4)))).toEqual(['event-log-bank-missing']);
  });

  it('L8 refuses two digests of one algorithm where two banks are declared', () => {
    const banks = [SHA256, hashOf(ALG.SHA384)];
    const digests = [
      { id: 11, bytes: new Uint8Array(32) },
      { id: 11, bytes: new Uint8Array(32) },
    ];
    const log = concatBytes(writeLog(bootEvents(), banks), writeEvent({ ...ipl('x'), digests }, banks));
    expect(codesUnderHonestQuote(log)).toEqual(['event-log-malformed']);
  });

  it.each<[string, Parameters<typeof writeHeader>[0]]>([
    ['L12 refuses a digest size that is not of its algorithm', { banks: [{ id: 11, size: 20 }] }],
    ['L13 refuses more algorithms than there are', { count: 2 }],
    ['L13 refuses no algorithm', { count: 0, banks: [] }],
    ['L13 refuses 2^32 - 1 algorithms', { count: 0xffff_ffff }],
    ['L9 refuses a bank declared twice', { banks: [SHA256, SHA256] }],
    ['L11 refuses an unknown algorithm in the header', { banks: [SHA256, { id: 0x7777, size: 32 }] }],
    ['L14 refuses version 1.2', { major: 1, minor: 2 }],
    ['L14 refuses an undefined uintnSize', { uintnSize: 9 }],
    ['L16 refuses vendor information longer than the event', { vendorLength: 200 }],
    ['L16 refuses bytes behind the vendor information', { vendorInfo: Uint8Array.of(1, 2), vendorLength: 1 }],
    ['L17 refuses a header with a digest', { digest: new Uint8Array(20).fill(1) }],
    ['L17 refuses a header in another PCR', { pcr: 1 }],
  ])('%s', (_name, options) => {
    const events = bootEvents().map((event) => writeEvent(event));
    expect(codesUnderHonestQuote(concatBytes(writeHeader(options), ...events))).toEqual([
      'event-log-malformed',
    ]);
  });

  it('takes vendor information as it is', () => {
    const events = bootEvents().map((event) => writeEvent(event));
    const log = concatBytes(writeHeader({ vendorInfo: asciiBytes('vendor') }), ...events);
    expect(codesUnderHonestQuote(log)).toEqual([]);
  });

  it('L15 refuses the SHA-1 format by name', () => {
    const log = concatBytes(writeHeader({ signature: 'Spec ID Event00\0' }), BOOT_LOG);
    expect(codesUnderHonestQuote(log)).toEqual(['event-log-sha1-format']);
  });

  it('L15 refuses an empty log and a log that begins elsewhere', () => {
    expect(codesUnderHonestQuote(EMPTY)).toEqual(['event-log-malformed']);
    const elsewhere = concatBytes(new Uint8Array(4).fill(0xff), new Uint8Array(60));
    expect(codesUnderHonestQuote(elsewhere)).toEqual(['event-log-malformed']);
  });

  it('L35 refuses a log of 16 MiB and one byte before it reads it', () => {
    const huge = new Uint8Array(EVIDENCE_LOG_LIMITS.maxBytes + 1);
    expect(codesUnderHonestQuote(huge)).toEqual(['event-log-too-large']);
  });

  it('L36 refuses more events than any machine has', () => {
    const event = Buffer.from(writeEvent(ipl('')));
    const events = Buffer.alloc(event.length * (EVIDENCE_LOG_LIMITS.maxEvents + 1), event);
    expect(codesUnderHonestQuote(concatBytes(writeHeader(), events))).toEqual(['event-log-too-large']);
  });
});

describe('EV_NO_ACTION', () => {
  const noAction = (data: Uint8Array, pcr = 0): WrittenEvent => ({
    pcr,
    type: EVENT_TYPE.EV_NO_ACTION,
    data,
  });
  const locality = (value: number) =>
    noAction(concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(value)));

  it('L18 refuses a second Spec ID event', () => {
    const log = withEvents(noAction(asciiBytes('Spec ID Event03\0')));
    expect(codesUnderHonestQuote(log)).toEqual(['event-log-no-action-invalid']);
  });

  it('L19 is never extended: hiding an event behind it breaks the replay', () => {
    const log = replaced(
      ({ pcr, type }) => pcr === 4 && type === EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
      {
        type: EVENT_TYPE.EV_NO_ACTION,
      },
    );
    expect(codesUnderHonestQuote(log)).toEqual(['event-log-replay-mismatch']);
  });

  it('L19 says nothing when it is injected with zero digests', () => {
    const log = withEvents(noAction(asciiBytes('SP800-155 Event\0')), noAction(asciiBytes('x'), 0xffff_ffff));
    expect(codesUnderHonestQuote(log)).toEqual([]);
  });

  it('L20 is refused with a digest', () => {
    const digests = [{ id: 11, bytes: new Uint8Array(32).fill(1) }];
    expect(codesUnderHonestQuote(withEvents({ ...noAction(asciiBytes('x')), digests }))).toEqual([
      'event-log-no-action-invalid',
    ]);
  });

  it('L20 is refused with one bit of a digest, in any bank', () => {
    const banks = [SHA256, hashOf(ALG.SHA384)];
    const [zero, oneBit] = [new Uint8Array(32), new Uint8Array(48).fill(1, 47)];
    const codesWith = (digests: NonNullable<WrittenEvent['digests']>) =>
      codesUnderHonestQuote(
        concatBytes(
          writeLog(bootEvents(), banks),
          writeEvent({ ...noAction(asciiBytes('x')), digests }, banks),
        ),
      );
    expect(codesWith([{ id: 11, bytes: zero }])).toEqual([]);
    expect(
      codesWith([
        { id: 11, bytes: zero },
        { id: 12, bytes: oneBit },
      ]),
    ).toEqual(['event-log-no-action-invalid']);
  });

  it('accepts a StartupLocality that the TPM had', () => {
    for (const value of [0, 3, 4])
      expect(codesUnderOwnQuote(writeLog([locality(value), ...bootEvents()]))).toEqual([]);
  });

  it('L33 refuses a StartupLocality that the TPM did not have', () => {
    expect(codesUnderHonestQuote(writeLog([locality(3), ...bootEvents()]))).toEqual([
      'event-log-replay-mismatch',
    ]);
  });

  it.each<[string, WrittenEvent[]]>([
    ['L33 refuses locality 1', [locality(1), ...bootEvents()]],
    [
      'L33 refuses a longer StartupLocality',
      [noAction(concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(3, 0))), ...bootEvents()],
    ],
    ['L33 refuses one without a locality', [noAction(asciiBytes('StartupLocality\0')), ...bootEvents()]],
    ['L34 refuses two of them', [locality(3), locality(3), ...bootEvents()]],
    ['L34 refuses one after PCR 0 was extended', [...bootEvents(), locality(0)]],
    ['L33 refuses one in another PCR', [{ ...locality(3), pcr: 1 }, ...bootEvents()]],
  ])('%s', (_name, events) => {
    expect(codesUnderHonestQuote(writeLog(events))).toEqual(['event-log-malformed']);
  });
});

describe('types and data', () => {
  const isSecureBoot = ({ type }: WrittenEvent) => type === EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG;
  const isApplication = ({ type }: WrittenEvent) => type === EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION;
  const isAction = ({ type }: WrittenEvent) => type === EVENT_TYPE.EV_EFI_ACTION;
  const forged = variableData('SecureBoot', Uint8Array.of(0));

  it('L21 refuses a PCR 7 event relabelled to escape the rule for its type', () => {
    expect(
      codesUnderHonestQuote(
        replaced(isSecureBoot, { type: 0x0d, data: forged, hashed: bootEvents()[1]?.data ?? EMPTY }),
      ),
    ).toEqual(['event-log-type-unexpected']);
  });

  it.each([EVENT_TYPE.EV_ACTION, EVENT_TYPE.EV_EFI_ACTION, EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY])(
    'L21 refuses the Secure Boot configuration relabelled to type %i',
    (type) => {
      expect(codesUnderHonestQuote(replaced(isSecureBoot, { type }))).toEqual(['event-log-type-unexpected']);
    },
  );

  it('L21 refuses an authority relabelled to configuration', () => {
    const type = EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG;
    const isAuthority = (event: WrittenEvent) => event.type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY;
    expect(codesUnderHonestQuote(replaced(isAuthority, { type }))).toEqual(['event-log-type-unexpected']);
  });

  it('L21 takes an authority before the separator when its db was measured before', () => {
    const db = { pcr: 7, data: variableData('db', new Uint8Array(40)) };
    const configuration = { ...db, type: EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG };
    const authority = { ...db, type: EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY };
    expect(codesUnderOwnQuote(writeLog([configuration, authority, ...bootEvents()]))).toEqual([]);
    expect(codesUnderOwnQuote(writeLog([authority, configuration, ...bootEvents()]))).toEqual([
      'event-log-type-unexpected',
    ]);
  });

  it.each([
    EVENT_TYPE.EV_ACTION,
    EVENT_TYPE.EV_COMPACT_HASH,
    EVENT_TYPE.EV_OMIT_BOOT_DEVICE_EVENTS,
    EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER,
    0x0d,
  ])('L22 refuses PCR 4 events relabelled to type %i', (type) => {
    expect(codesUnderHonestQuote(replaced(isAction, { type }))).toEqual(['event-log-type-unexpected']);
    expect(codesUnderHonestQuote(replaced(isApplication, { type }))).toEqual(['event-log-type-unexpected']);
  });

  it('L22 refuses an application relabelled to an action, and the other way round', () => {
    expect(codesUnderHonestQuote(replaced(isApplication, { type: EVENT_TYPE.EV_EFI_ACTION }))).toEqual([
      'event-log-data-mismatch',
    ]);
    expect(
      codesUnderHonestQuote(replaced(isAction, { type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION })),
    ).toEqual(['event-log-type-unexpected']);
  });

  it.each<[string, Partial<WrittenEvent>, (event: WrittenEvent) => boolean]>([
    ['a Secure Boot variable', { data: forged, hashed: bootEvents()[1]?.data ?? EMPTY }, isSecureBoot],
    [
      'an EFI action',
      { data: asciiBytes('x'), hashed: ACTION_DATA },
      ({ type }) => type === EVENT_TYPE.EV_EFI_ACTION,
    ],
    ['a boot variable', { hashed: asciiBytes('x') }, ({ type }) => type === EVENT_TYPE.EV_EFI_VARIABLE_BOOT],
    ['a version', { hashed: asciiBytes('x') }, ({ type }) => type === EVENT_TYPE.EV_S_CRTM_VERSION],
    [
      'an authority',
      { hashed: asciiBytes('x') },
      ({ type }) => type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
    ],
  ])('L26 refuses data that is not what was hashed: %s', (_name, change, predicate) => {
    expect(codesUnderOwnQuote(replaced(predicate, change))).toEqual(['event-log-data-mismatch']);
  });

  it('L26 takes the two ways in which real firmware hashes variables', () => {
    const content = Uint8Array.of(0, 0);
    const boot = replaced(({ type }) => type === EVENT_TYPE.EV_EFI_VARIABLE_BOOT, { hashed: content });
    expect(codesUnderOwnQuote(boot)).toEqual([]);
    const data = variableData('db', new Uint8Array(41));
    const authority = replaced(({ type }) => type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, {
      data,
      hashed: data.subarray(0, -1),
    });
    expect(codesUnderOwnQuote(authority)).toEqual([]);
  });

  it.each([EMPTY, new Uint8Array(40).fill(0xff), concatBytes(new Uint8Array(31), Uint8Array.of(9))])(
    'L26 refuses a boot variable that is none (%#)',
    (data) => {
      const change = { data, hashed: asciiBytes('x') };
      const log = replaced(({ type }) => type === EVENT_TYPE.EV_EFI_VARIABLE_BOOT, change);
      expect(codesUnderOwnQuote(log)).toEqual(['event-log-data-mismatch']);
    },
  );

  it('L27 takes an edited device path for what it is: hearsay', () => {
    const data = asciiBytes('https://elsewhere.example/evil.efi');
    expect(codesUnderHonestQuote(replaced(isApplication, { data }))).toEqual([]);
  });
});

describe('separators', () => {
  const isSeparator = (pcr: number) => (event: WrittenEvent) =>
    event.pcr === pcr && event.type === EVENT_TYPE.EV_SEPARATOR;
  it('L23 refuses a second separator in a firmware PCR', () => {
    expect(codesUnderOwnQuote(withEvents(separatorOf(7, SEPARATOR_DATA)))).toEqual([
      'event-log-separator-duplicate',
    ]);
  });

  it.each([0, 4, 7])('L24 refuses PCR %d without its separator', (pcr) => {
    expect(codesUnderOwnQuote(without(isSeparator(pcr)))).toEqual(['event-log-separator-missing']);
  });

  it('L24 takes a log that separates PCR 7 only, as some real firmware writes it', () => {
    const log = without(({ pcr, type }) => type === EVENT_TYPE.EV_SEPARATOR && pcr < 7);
    expect(codesUnderOwnQuote(log)).toEqual([]);
    const none = without(({ type }) => type === EVENT_TYPE.EV_SEPARATOR);
    expect(codesUnderOwnQuote(none)).toEqual(['event-log-separator-missing']);
  });

  it.each([0, 5, 7])('L25 refuses a separator that reports an error in PCR %d', (pcr) => {
    expect(codesUnderOwnQuote(replaced(isSeparator(pcr), { data: Uint8Array.of(1, 0, 0, 0) }))).toEqual([
      'event-log-separator-invalid',
    ]);
  });

  it('L25 takes both defined values, and refuses a hash of another', () => {
    expect(codesUnderOwnQuote(replaced(isSeparator(5), { data: new Uint8Array(4).fill(0xff) }))).toEqual([]);
    expect(codesUnderOwnQuote(replaced(isSeparator(5), { hashed: new Uint8Array(4).fill(0xff) }))).toEqual([
      'event-log-data-mismatch',
    ]);
  });

  it('leaves separators of other PCRs to those who put them there', () => {
    expect(codesUnderOwnQuote(withEvents(separatorOf(12, asciiBytes('WBCL'))))).toEqual([]);
  });
});

describe('what was quoted', () => {
  it('L28 refuses reordered events', () => {
    const events = bootEvents();
    const application = events.splice(
      events.findIndex(({ type }) => type === EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION),
      1,
    );
    expect(codesUnderHonestQuote(writeLog([...application, ...events]))).toEqual([
      'event-log-replay-mismatch',
    ]);
  });

  it('L31 judges the quoted bank, not the others', () => {
    const banks = [hashOf(ALG.SHA1), SHA256];
    const wrongSha1 = bootEvents().map((event) =>
      writeEvent({
        ...event,
        digests: [
          { id: 4, bytes: new Uint8Array(20).fill(6) },
          { id: 11, bytes: sha256(event.hashed ?? event.data) },
        ],
      }),
    );
    expect(codesUnderHonestQuote(concatBytes(writeHeader({ banks }), ...wrongSha1))).toEqual([]);
    const wrongSha256 = concatBytes(
      writeHeader({ banks }),
      ...wrongSha1.slice(0, -1),
      writeEvent(ipl('x'), banks),
    );
    expect(codesUnderHonestQuote(wrongSha256)).toEqual(['event-log-replay-mismatch']);
  });

  it('L32 refuses a log without the quoted bank', () => {
    const log = writeLog(bootEvents(), [hashOf(ALG.SHA1)]);
    expect(codesUnderHonestQuote(log)).toEqual(['event-log-bank-missing']);
  });

  it('refuses the log of another boot', () => {
    expect(codesUnderHonestQuote(withEvents(ipl('another command line')))).toEqual([
      'event-log-replay-mismatch',
    ]);
  });

  it('Q54 refuses evidence without the log that policy requires', () => {
    const untrustedEvidence = sealEvidence({ pcrs: PCRS });
    expect(codesOf(verifyEvidence(validInput({ untrustedEvidence })))).toEqual(['event-log-missing']);
    const optional = validInput({ untrustedEvidence, policy: { ...POLICY, eventLog: 'optional' } });
    expect(verifyEvidence(optional)).toMatchObject({
      verdict: 'accept',
      notes: [{ code: 'event-log-absent' }],
    });
  });

  it('Q54 refuses a broken log also where none was required', () => {
    const untrustedEvidence = sealEvidence({ log: EMPTY, pcrs: PCRS });
    const input = validInput({ untrustedEvidence, policy: { ...POLICY, eventLog: 'optional' } });
    expect(codesOf(verifyEvidence(input))).toEqual(['event-log-malformed']);
  });

  it('Q54 refuses a broken log without hiding what else is wrong', () => {
    const counters = { clock: 1n, resetCount: 8, restartCount: 0, firmwareVersion: 0x2016_0511_0016_2800n };
    const untrustedEvidence = sealEvidence({ log: EMPTY, pcrs: PCRS });
    const verdict = verifyEvidence(validInput({ untrustedEvidence, previous: counters }));
    expect(codesOf(verdict).sort()).toEqual(['counters-went-back', 'event-log-malformed']);
    expect(verdict.quote).toBeDefined();
  });

  it.each([2, 7, 8])('refuses a log that contradicts PCR %d, although policy does not name it', (pcr) => {
    const policy = { ...POLICY, pcrs: POLICY.pcrs.filter((index) => index !== pcr) };
    const log = withEvents(ipl('command line'));
    const pcrs = new Map([...pcrsOf(log), [pcr, new Uint8Array(32).fill(5)]] as const);
    const untrustedEvidence = sealEvidence({ log, pcrs });
    const verdict = verifyEvidence(validInput({ untrustedEvidence, policy }));
    expect(codesOf(verdict)).toEqual(['event-log-replay-mismatch']);
  });

  it.each([6, 7])(
    'refuses a PCR %d that the log is silent about, although policy does not name it',
    (pcr) => {
      const policy = { ...POLICY, pcrs: [0, 14] };
      const log = without((event) => event.pcr === pcr);
      const pcrs = new Map([...pcrsOf(log), [pcr, new Uint8Array(32).fill(5)]] as const);
      const verdict = verifyEvidence(validInput({ untrustedEvidence: sealEvidence({ log, pcrs }), policy }));
      expect(codesOf(verdict)).toEqual(['event-log-replay-mismatch']);
    },
  );

  it('Q60 refuses a bank that nothing was extended into', () => {
    const log = writeLog([]);
    expect(codesUnderOwnQuote(log)).toEqual(['pcrs-not-extended', 'event-log-separator-missing']);
  });

  it('notes events of PCRs that the quote does not cover, and judges them by no rule', () => {
    const error = separatorOf(5, Uint8Array.of(1, 0, 0, 0));
    const misplaced = { pcr: 4, type: EVENT_TYPE.EV_S_CRTM_VERSION, data: EMPTY, hashed: asciiBytes('x') };
    const policy = { ...POLICY, pcrs: POLICY.pcrs.filter((pcr) => pcr !== 4 && pcr !== 5) };
    const log = withEvents(error, error, misplaced);
    const pcrs = pcrsOf(log, { pcrs: policy.pcrs });
    const verdict = verifyEvidence(validInput({ untrustedEvidence: sealEvidence({ log, pcrs }), policy }));
    expect(verdict).toMatchObject({ verdict: 'accept', notes: [{ code: 'events-unquoted' }] });
  });

  it.each<[number, string[]]>([
    [8, []],
    [9, ['event-log-replay-mismatch']],
    [7, ['event-log-replay-mismatch']],
  ])(
    'lets the running system extend PCR %d only where policy says so, never a PCR of firmware',
    (pcr, codes) => {
      const policy = { ...POLICY, unloggedPcrs: [7, 8] };
      const pcrs = new Map([...PCRS, [pcr, new Uint8Array(32).fill(5)]] as const);
      const untrustedEvidence = sealEvidence({ log: BOOT_LOG, pcrs });
      expect(codesOf(verifyEvidence(validInput({ untrustedEvidence, policy })))).toEqual(codes);
    },
  );

  it('names the PCRs that the quote does not cover', () => {
    const event = { type: 0x0d, data: asciiBytes('boot_aggregate') };
    const log = withEvents({ ...event, pcr: 15 }, { ...event, pcr: 10 }, { ...event, pcr: 15 });
    expect(verdictOnLog(log, PCRS)).toMatchObject({
      verdict: 'accept',
      notes: [{ code: 'events-unquoted', message: expect.stringContaining('PCR 10, 15 are') }],
    });
  });

  it('notes a quoted PCR outside policy that the running system extended', () => {
    const pcrs = new Map([...PCRS, [15, new Uint8Array(32).fill(5)]] as const);
    const outside = verdictOnLog(BOOT_LOG, pcrs);
    expect(outside).toMatchObject({ verdict: 'accept', notes: [{ code: 'pcr-not-logged' }] });
    const policy = { ...POLICY, pcrs: [...POLICY.pcrs, 15] };
    const inside = verifyEvidence(
      validInput({ untrustedEvidence: sealEvidence({ log: BOOT_LOG, pcrs }), policy }),
    );
    expect(codesOf(inside)).toEqual(['event-log-replay-mismatch']);
  });

  it('says one thing a few times, not a hundred thousand times', () => {
    const many = Array.from({ length: 500 }, () => ({ pcr: 7, type: 0x0d, data: EMPTY }));
    expect(verdictOnLog(withEvents(...many)).reasons).toHaveLength(8);
  });
});
