import { expect, test } from 'vitest';
import { checkSecureBoot } from '../../../src/attestation/policy/secure-boot.ts';
import { asciiBytes, concatBytes, EMPTY } from '../../../src/core/bytes.ts';
import { createAuthority } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { type WrittenEvent, writeLog } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import {
  config,
  GUIDS,
  measuredVariable,
  OUR_CERTIFICATE,
  secureBootEvents,
  signatureList,
} from '../../../src/fleet-sim/firmware/secure-boot-events.ts';
import { ALG, type HashAlgorithm } from '../../../src/tpm/algorithms.ts';
import { parseEventLog } from '../../../src/tpm/event-log.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { COUNTERS, stage0Events } from '../appraisal-fixture.ts';
import { pcrsOf } from '../evidence-fixture.ts';

// What the log of PCR 7 proves by itself: the rules for events and the replay have no say here.

const { GLOBAL_VARIABLE, SECURITY_DATABASE, X509_LIST } = GUIDS;
const [SECURE_BOOT, ...OTHERS] = secureBootEvents() as [WrittenEvent, ...WrittenEvent[]];
const NOTE = 'secure-boot-db-measured';

function findingsOn(pcr7: readonly WrittenEvent[], hash: HashAlgorithm = SHA256) {
  const log = writeLog(stage0Events(pcr7));
  const quote = { pcrs: pcrsOf(log), counters: COUNTERS, clockIsSafe: true };
  return checkSecureBoot({ log: parseEventLog(log), hash, quote, policy: { db: 'any' } });
}

const codesOn = (...given: Parameters<typeof findingsOn>) => findingsOn(...given).map(({ code }) => code);
const unproven = (what: string) => [
  { code: 'secure-boot-unproven', message: `PCR 7: expected proof of Secure Boot, ${what}` },
];
const auditMode = config(GLOBAL_VARIABLE, 'AuditMode', Uint8Array.of(1));

test('an event that no PCR was extended with is no word on a variable', () => {
  const said = { ...SECURE_BOOT, type: EVENT_TYPE.EV_NO_ACTION };
  expect(findingsOn([said, ...OTHERS])).toEqual(unproven('its variable is measured 0 times'));
  const keys = OTHERS.map((event, index) =>
    index === 0 ? { ...event, type: EVENT_TYPE.EV_NO_ACTION } : event,
  );
  expect(findingsOn([SECURE_BOOT, ...keys])).toEqual(unproven('PK is measured 0 times'));
});

test('no event before the separator is passed over because its digest covers something else', () => {
  const hidden = { ...auditMode, hashed: asciiBytes('nothing of interest') };
  expect(findingsOn(secureBootEvents({ more: [hidden] }))).toEqual(
    unproven('the digest of EV_EFI_VARIABLE_DRIVER_CONFIG does not cover all of its data'),
  );
});

test('a separator whose digest covers something else is none', () => {
  const events = secureBootEvents().map((event) =>
    event.type === EVENT_TYPE.EV_SEPARATOR ? { ...event, hashed: asciiBytes('an error') } : event,
  );
  expect(findingsOn(events)).toEqual(unproven('the digest of EV_SEPARATOR does not cover all of its data'));
});

test('what something measures after the separator that nobody can check counts as nothing', () => {
  const authority = {
    pcr: 7,
    type: EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
    data: measuredVariable(SECURITY_DATABASE, 'db', EMPTY),
    hashed: asciiBytes('something else'),
  };
  expect(codesOn([...secureBootEvents(), authority])).toEqual([NOTE]);
});

test('a log without digests of the bank proves nothing', () => {
  expect(codesOn(secureBootEvents(), hashOf(ALG.SHA384))).toEqual(['secure-boot-unproven']);
});

test.each([[[1, 0]], [[0, 1]], [[1, 1]], [[2]], [[]]])('SecureBoot that holds %j is not on', (content) => {
  const state = config(GLOBAL_VARIABLE, 'SecureBoot', Uint8Array.from(content));
  expect(codesOn([state, ...OTHERS])).toEqual(['secure-boot-required']);
});

test('debug mode is known with what follows it too', () => {
  const action = { pcr: 7, type: EVENT_TYPE.EV_EFI_ACTION, data: asciiBytes('UEFI Debug Mode\0') };
  expect(findingsOn(secureBootEvents({ more: [action] }))).toEqual(unproven('firmware is in debug mode'));
});

test.each([
  [16, ''],
  [17, ' and 1 more'],
])('of %d entries in db sixteen are noted', (count, rest) => {
  const others = Array.from({ length: count - 1 }, (_, index) => asciiBytes(`certificate ${index}`));
  const [note] = findingsOn(secureBootEvents({ db: [OUR_CERTIFICATE, ...others] }));
  expect(note?.message.split(', ')).toHaveLength(16);
  expect(note?.message.endsWith(`)${rest}`)).toBe(true);
});

test('an entry of an unknown list type is called no certificate, whatever it holds', async () => {
  const { certificate } = await createAuthority('A signer of somebody');
  const lists = concatBytes(
    signatureList(X509_LIST, OUR_CERTIFICATE),
    signatureList(Buffer.alloc(16, 0x77), certificate),
  );
  const events = secureBootEvents().map((event, index) =>
    index === 3 ? config(SECURITY_DATABASE, 'db', lists) : event,
  );
  expect(findingsOn(events)[0]?.message).not.toContain('A signer of somebody');
});
