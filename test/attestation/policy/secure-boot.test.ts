import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkSecureBoot } from '../../../src/attestation/policy/secure-boot.ts';
import { type EvidenceVerdict, verifyEvidence } from '../../../src/attestation/verify.ts';
import { asciiBytes, concatBytes, EMPTY, sha256, toHex } from '../../../src/core/bytes.ts';
import { createAuthority } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { type WrittenEvent, writeLog } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import {
  config,
  GUIDS,
  measuredVariable,
  OUR_CERTIFICATE,
  secureBootEvents,
  signatureList,
} from '../../../src/fleet-sim/firmware/secure-boot-events.ts';
import { parseEventLog } from '../../../src/tpm/event-log.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { CORPORA } from '../../corpora.ts';
import { stage0Events } from '../appraisal-fixture.ts';
import { POLICY, POLICY_PCRS, pcrsOf, sealEvidence, validInput } from '../evidence-fixture.ts';

const { GLOBAL_VARIABLE, SECURITY_DATABASE, X509_LIST, SHA256_LIST } = GUIDS;
const OURS = toHex(sha256(OUR_CERTIFICATE));
const OWNER = Buffer.alloc(16, 0x0f);
const HONEST = secureBootEvents();

function verdictOn(
  pcr7: readonly WrittenEvent[],
  db: 'any' | readonly string[] = 'any',
  pcrs: readonly number[] = POLICY_PCRS,
): EvidenceVerdict {
  const log = writeLog(stage0Events(pcr7));
  return verifyEvidence(
    validInput({
      untrustedEvidence: sealEvidence({ log, pcrs: pcrsOf(log, { pcrs }) }),
      policy: { ...POLICY, pcrs, secureBoot: { db } },
    }),
  );
}

const messagesOf = ({ reasons }: EvidenceVerdict) => reasons.map(({ message }) => message);
const notesOf = ({ notes }: EvidenceVerdict) => notes.map(({ message }) => message);
const replaced = (name: string, ...by: WrittenEvent[]) =>
  HONEST.flatMap((event) => (isOf(event, name) ? by : [event]));
const isOf = ({ data, type }: WrittenEvent, name: string) =>
  type === EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG &&
  Buffer.from(data.subarray(32, 32 + 2 * name.length)).toString('utf16le') === name &&
  data[16] === name.length;
const db = (...lists: Uint8Array[]) => config(SECURITY_DATABASE, 'db', concatBytes(...lists));
const authority = (entry: Uint8Array, name = 'db', guid: Uint8Array = SECURITY_DATABASE): WrittenEvent => ({
  pcr: 7,
  type: EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
  data: measuredVariable(guid, name, entry),
});
const key = signatureList(X509_LIST, asciiBytes('a key'));
const SECOND_DB = signatureList(X509_LIST, asciiBytes('a certificate of somebody'));
const beforeSeparator = (events: readonly WrittenEvent[], event: WrittenEvent): WrittenEvent[] =>
  events.flatMap((one) => (one.type === EVENT_TYPE.EV_SEPARATOR ? [event, one] : [one]));

describe('Secure Boot', () => {
  test('is proven by what firmware measured in PCR 7, and a note says whom firmware trusts', () => {
    const verdict = verdictOn(HONEST);
    expect([verdict.verdict, verdict.reasons]).toEqual(['accept', []]);
    expect(notesOf(verdict)).toContain(`PCR 7: db holds entry (SHA-256 ${OURS})`);
  });

  test('is not asked for where policy does not', () => {
    const log = writeLog(stage0Events(secureBootEvents({ on: false })));
    const { verdict, notes } = verifyEvidence(
      validInput({ untrustedEvidence: sealEvidence({ log, pcrs: pcrsOf(log) }) }),
    );
    expect([verdict, notes]).toEqual(['accept', []]);
  });

  test('that firmware measured as off is refused', () => {
    const { reasons } = verdictOn(secureBootEvents({ on: false }));
    expect(reasons).toEqual([
      { code: 'secure-boot-required', message: 'PCR 7: expected Secure Boot on, firmware measured it off' },
    ]);
  });

  test.each<[string, WrittenEvent[]]>([
    ['its variable is measured 0 times', replaced('SecureBoot')],
    [
      'its variable is measured 2 times',
      [config(GLOBAL_VARIABLE, 'SecureBoot', Uint8Array.of(1)), ...HONEST],
    ],
    [
      'its variable is measured 2 times',
      [config(GLOBAL_VARIABLE, 'SecureBoot', Uint8Array.of(0)), ...HONEST],
    ],
    [
      'its variable is measured 0 times',
      replaced('SecureBoot', config(SECURITY_DATABASE, 'SecureBoot', Uint8Array.of(1))),
    ],
    ['its variable is measured 0 times', [...replaced('SecureBoot'), authority(EMPTY)]],
    ['PK is measured 0 times', replaced('PK')],
    ['PK is measured 2 times', [config(GLOBAL_VARIABLE, 'PK', key), ...HONEST]],
    [
      'PK is empty: anybody may change what firmware trusts',
      replaced('PK', config(GLOBAL_VARIABLE, 'PK', EMPTY)),
    ],
    ['KEK is measured 0 times', replaced('KEK')],
    [
      'KEK is empty: anybody may change what firmware trusts',
      replaced('KEK', config(GLOBAL_VARIABLE, 'KEK', EMPTY)),
    ],
    ['dbx is measured 0 times', replaced('dbx')],
    ['db is measured 0 times', replaced('db')],
    ['db is measured 2 times', [db(key), ...HONEST]],
    [
      'db is measured 0 times',
      replaced('db', config(GLOBAL_VARIABLE, 'db', signatureList(X509_LIST, OUR_CERTIFICATE))),
    ],
    [
      'firmware is in audit mode: it starts what it does not trust',
      secureBootEvents({ more: [config(GLOBAL_VARIABLE, 'AuditMode', Uint8Array.of(1))] }),
    ],
    [
      'firmware is in debug mode',
      secureBootEvents({
        more: [{ pcr: 7, type: EVENT_TYPE.EV_EFI_ACTION, data: asciiBytes('UEFI Debug Mode') }],
      }),
    ],
    ['nothing that firmware started was verified with db', secureBootEvents({ authority: undefined })],
    [
      'nothing that firmware started was verified with db',
      [
        ...secureBootEvents({ authority: undefined }),
        authority(concatBytes(OWNER, OUR_CERTIFICATE), 'MokList'),
      ],
    ],
    [
      'nothing that firmware started was verified with db',
      [
        ...secureBootEvents({ authority: undefined }),
        authority(concatBytes(OWNER, OUR_CERTIFICATE), 'db', GLOBAL_VARIABLE),
      ],
    ],
    [
      `something was verified with ${toHex(sha256(asciiBytes('another')))}, which is not in the db that was measured`,
      [...HONEST, authority(concatBytes(OWNER, asciiBytes('another')))],
    ],
    [
      `something was verified with ${toHex(sha256(EMPTY))}, which is not in the db that was measured`,
      [...HONEST, authority(EMPTY)],
    ],
  ])('is not proven: %s', (what, pcr7) => {
    const verdict = verdictOn(pcr7);
    expect(verdict.verdict).toBe('refuse');
    expect(messagesOf(verdict)).toContain(`PCR 7: expected proof of Secure Boot, ${what}`);
  });

  test('is not proven by a variable whose digest covers something else', () => {
    const lie = {
      ...config(GLOBAL_VARIABLE, 'SecureBoot', Uint8Array.of(1)),
      hashed: asciiBytes('it is off'),
    };
    expect(messagesOf(verdictOn(replaced('SecureBoot', lie)))).toContain(
      'PCR 7: expected proof of Secure Boot, the digest of EV_EFI_VARIABLE_DRIVER_CONFIG does not cover all of its data',
    );
  });

  test('is not proven by what was measured after the separator: the system may measure there too', () => {
    const [state, ...others] = HONEST as [WrittenEvent, ...WrittenEvent[]];
    const verdict = verdictOn([...others, state]);
    expect(messagesOf(verdict)).toContain(
      'PCR 7: expected proof of Secure Boot, its variable is measured 0 times',
    );
  });

  test('is not proven without a separator', () => {
    const verdict = verdictOn(HONEST.filter(({ type }) => type !== EVENT_TYPE.EV_SEPARATOR));
    expect(verdict.verdict).toBe('refuse');
    expect(messagesOf(verdict)).toContain(
      'PCR 7: expected proof of Secure Boot, its variable is measured 0 times',
    );
  });

  test('is not proven by a variable of another event type', () => {
    const state = config(GLOBAL_VARIABLE, 'SecureBoot', Uint8Array.of(1));
    const verdict = verdictOn(
      replaced('SecureBoot', { ...state, type: EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY }),
    );
    expect(verdict.verdict).toBe('refuse');
    expect(messagesOf(verdict)).toContain(
      'PCR 7: expected proof of Secure Boot, its variable is measured 1 times',
    );
  });

  test('is not proven by a PCR 7 that nobody quoted', () => {
    const pcrs = POLICY_PCRS.filter((pcr) => pcr !== 7);
    expect(messagesOf(verdictOn(HONEST, 'any', pcrs))).toContain(
      'PCR 7: expected proof of Secure Boot, PCR 7 is not quoted',
    );
  });

  test.each([
    ['deployed', config(GLOBAL_VARIABLE, 'DeployedMode', Uint8Array.of(1))],
    ['not in audit mode', config(GLOBAL_VARIABLE, 'AuditMode', Uint8Array.of(0))],
  ])('is proven by firmware that is %s', (_, event) => {
    expect(verdictOn(secureBootEvents({ more: [event] })).verdict).toBe('accept');
  });

  test.each<[string, WrittenEvent[]]>([
    ['as well as the loader', HONEST],
    // Firmware measures an entry once, however much it verified (EDK2: IsDataMeasured).
    ['and the loader with the same entry', secureBootEvents({ authority: undefined })],
  ])('is proven when db verified an option ROM before the separator, %s', (_, events) => {
    const verdict = verdictOn(beforeSeparator(events, authority(concatBytes(OWNER, OUR_CERTIFICATE))));
    expect([verdict.verdict, verdict.reasons]).toEqual(['accept', []]);
  });

  test('is not proven when something else than db verified an option ROM', () => {
    const another = asciiBytes('another');
    const verdict = verdictOn(beforeSeparator(HONEST, authority(concatBytes(OWNER, another))));
    expect(messagesOf(verdict)).toEqual([
      `PCR 7: expected proof of Secure Boot, something was verified with ${toHex(sha256(another))}, which is not in the db that was measured`,
    ]);
  });

  test.each<[string, number, Uint8Array]>([
    ['what it is', EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG, SECOND_DB],
    ['the authority of an option ROM', EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, SECOND_DB],
    ['an authority, and it is empty', EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, EMPTY],
    ['the policy of a device', EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY, SECOND_DB],
    ['the authority of a device', EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY, SECOND_DB],
  ])('is not proven by a second db that the log calls %s', (_, type, content) => {
    const second = { ...config(SECURITY_DATABASE, 'db', content), type };
    expect(messagesOf(verdictOn(beforeSeparator(HONEST, second)))).toContain(
      'PCR 7: expected proof of Secure Boot, db is measured 2 times',
    );
  });

  test('is not proven by a db whose list passes for an entry of the one beside it', () => {
    const disguised = signatureList(X509_LIST, asciiBytes('a certificate'));
    const relabelled = authority(disguised);
    const events = secureBootEvents({ db: [OUR_CERTIFICATE, disguised.subarray(OWNER.length)] });
    expect(messagesOf(verdictOn(beforeSeparator(events, relabelled)))).toEqual([
      'PCR 7: expected proof of Secure Boot, db is measured 2 times',
    ]);
  });

  test('is proven all the same when something measures what it likes after the separator', () => {
    const mok = { ...authority(EMPTY, 'MokListTrusted'), hashed: asciiBytes('shim hashes something else') };
    const { reasons } = verdictOn([...HONEST, mok]);
    expect(reasons.filter(({ code }) => code.startsWith('secure-boot'))).toEqual([]);
  });
});

describe('db', () => {
  test('that is no list of signatures is refused', () => {
    const verdict = verdictOn(replaced('db', config(SECURITY_DATABASE, 'db', asciiBytes('no list'))));
    expect(messagesOf(verdict).join()).toMatch(/PCR 7: db cannot be read: EFI_SIGNATURE_LIST: /);
  });

  test('may verify an image by its digest', () => {
    const image = sha256(asciiBytes('an image'));
    const pcr7 = [
      ...replaced('db', db(signatureList(SHA256_LIST, image))).slice(0, -1),
      authority(concatBytes(OWNER, image)),
    ];
    const verdict = verdictOn(pcr7, [toHex(image)]);
    expect(verdict.verdict).toBe('accept');
    expect(notesOf(verdict)).toContain(`PCR 7: db holds image (SHA-256 ${toHex(image)})`);
  });

  test('may hold what policy lists, and less', () => {
    expect(verdictOn(HONEST, ['00'.repeat(32), OURS]).verdict).toBe('accept');
  });

  test('must not hold anything else: the certificate is named', async () => {
    const { certificate } = await createAuthority('A signer of somebody');
    const verdict = verdictOn(secureBootEvents({ db: [OUR_CERTIFICATE, certificate] }), [OURS]);
    const words = `certificate A signer of somebody (SHA-256 ${toHex(sha256(certificate))})`;
    expect(verdict.reasons).toEqual([
      {
        code: 'secure-boot-db',
        message: `PCR 7: expected only what the policy lists in db, it holds ${words}`,
      },
    ]);
    expect(notesOf(verdict)).toContain(`PCR 7: db holds entry (SHA-256 ${OURS}), ${words}`);
  });

  test('with many entries is noted in part, and judged whole', () => {
    const images = Array.from({ length: 20 }, (_, index) => asciiBytes(`certificate ${index}`));
    const verdict = verdictOn(secureBootEvents({ db: [OUR_CERTIFICATE, ...images] }), [
      OURS,
      ...images.slice(0, 19).map((image) => toHex(sha256(image))),
    ]);
    expect(notesOf(verdict).join()).toMatch(/ and 5 more$/);
    expect(messagesOf(verdict)).toEqual([
      `PCR 7: expected only what the policy lists in db, it holds entry (SHA-256 ${toHex(sha256(asciiBytes('certificate 19')))})`,
    ]);
  });

  test('of a list type that is neither is known by the digest of what it holds', () => {
    const other = asciiBytes('something of another type');
    const verdict = verdictOn(
      replaced(
        'db',
        db(signatureList(X509_LIST, OUR_CERTIFICATE), signatureList(Buffer.alloc(16, 0x77), other)),
      ),
      [OURS],
    );
    expect(messagesOf(verdict)).toEqual([
      `PCR 7: expected only what the policy lists in db, it holds entry (SHA-256 ${toHex(sha256(other))})`,
    ]);
  });
});

// Real firmware with Secure Boot on and off: Google's, EDK2 and makers of notebooks and servers.
const TPM_TOOLS = join(CORPORA, 'google/go-tpm-tools/internal/test/eventlogs');
const FIXTURES = join(CORPORA, 'tpm2-software/tpm2-tools/test/integration/fixtures');

describe.skipIf(!existsSync(TPM_TOOLS))('real logs', () => {
  test.each([
    [
      TPM_TOOLS,
      'cos-85-amd-sev.bin',
      'secure-boot-db-measured',
      /certificate UEFI DB Key v10 \(SHA-256 a7b8c851/,
    ],
    [
      TPM_TOOLS,
      'cos-93-amd-sev.bin',
      'secure-boot-db-measured',
      /certificate UEFI DB Key v10 \(SHA-256 a7b8c851/,
    ],
    [
      TPM_TOOLS,
      'cos-101-amd-sev.bin',
      'secure-boot-db-measured',
      /certificate UEFI DB Key v10 \(SHA-256 a7b8c851/,
    ],
    [
      TPM_TOOLS,
      'rhel8-uefi.bin',
      'secure-boot-db-measured',
      /Microsoft Corporation UEFI CA 2011 \(SHA-256 48e99b99/,
    ],
    [
      FIXTURES,
      'event-postcode.bin',
      'secure-boot-db-measured',
      /Microsoft Windows Production PCA 2011 \(SHA-256 e8e95f07/,
    ],
    [
      FIXTURES,
      'event-moklisttrusted.bin',
      'secure-boot-db-measured',
      /Microsoft Windows Production PCA 2011/,
    ],
    [TPM_TOOLS, 'arch-linux-workstation.bin', 'secure-boot-required', /measured it off/],
    [TPM_TOOLS, 'ubuntu-2104-no-secure-boot.bin', 'secure-boot-required', /measured it off/],
    [TPM_TOOLS, 'ubuntu-2104-no-dbx.bin', 'secure-boot-required', /measured it off/],
    [FIXTURES, 'event-sd-boot-fedora37.bin', 'secure-boot-required', /measured it off/],
  ])('%s/%s: %s', (folder, name, code, message) => {
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    const quote = {
      pcrs: pcrsOf(bytes),
      counters: { clock: 0n, resetCount: 0, restartCount: 0, firmwareVersion: 0n },
      clockIsSafe: true,
    };
    const findings = checkSecureBoot({
      log: parseEventLog(bytes),
      hash: SHA256,
      quote,
      policy: { db: 'any' },
    });
    expect(findings).toEqual([{ code, message: expect.stringMatching(message) }]);
  });
});
