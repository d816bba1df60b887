import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkEventData, standingOfData } from '../../../src/attestation/event-log/event-data.ts';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { variableData } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';

const CONTENT = asciiBytes('content');
const DATA = variableData('Boot0001', CONTENT);
const BUT_LAST = DATA.subarray(0, -1);
type Name = keyof typeof EVENT_TYPE;

/** What may have been hashed for an event of this type, besides its whole data. */
const COVERED: Partial<Record<Name, Uint8Array | undefined>> = {
  EV_SEPARATOR: undefined,
  EV_S_CRTM_VERSION: undefined,
  EV_EFI_ACTION: undefined,
  EV_EFI_GPT_EVENT: undefined,
  EV_EFI_VARIABLE_DRIVER_CONFIG: CONTENT,
  EV_EFI_VARIABLE_BOOT: CONTENT,
  EV_EFI_VARIABLE_BOOT2: CONTENT,
  EV_EFI_VARIABLE_AUTHORITY: BUT_LAST,
};
const NAMES = Object.keys(EVENT_TYPE) as Name[];

const standing = (name: Name, hashed: Uint8Array, data: Uint8Array = DATA) =>
  standingOfData({ pcr: 1, type: EVENT_TYPE[name], digests: [], data }, sha256(hashed), SHA256);

describe('what a digest says about the data of its event', () => {
  it.each(NAMES)('L26 L27 %s', (name) => {
    const isCovered = name in COVERED;
    const alternative = COVERED[name];
    expect(standing(name, DATA)).toBe(isCovered ? 'covered' : 'hearsay');
    expect(standing(name, asciiBytes('other'))).toBe(isCovered ? 'contradicted' : 'hearsay');
    for (const candidate of [CONTENT, BUT_LAST])
      expect(standing(name, candidate)).toBe(
        !isCovered ? 'hearsay' : candidate === alternative ? 'covered' : 'contradicted',
      );
  });

  it('L26 is asked of the bank whose digest it is', () => {
    const sha384 = hashOf(ALG.SHA384);
    const event = { pcr: 0, type: EVENT_TYPE.EV_SEPARATOR, digests: [], data: new Uint8Array(4) };
    const digest = createHash('sha384').update(event.data).digest();
    expect(standingOfData(event, digest, sha384)).toBe('covered');
    expect(standingOfData(event, digest.subarray(0, 32), SHA256)).toBe('contradicted');
  });

  it('L26 names the PCR, the type and both hashes where they differ, and nothing else', () => {
    const event = { pcr: 5, type: EVENT_TYPE.EV_EFI_ACTION, digests: [], data: asciiBytes('action') };
    const [finding] = checkEventData(event, sha256(), SHA256);
    expect(finding).toMatchObject({ code: 'event-log-data-mismatch' });
    expect(finding?.message).toMatch(/^PCR 5: the data of EV_EFI_ACTION hashes to .+, its digest is .+$/);
    for (const digest of [sha256(event.data), sha256()])
      expect(finding?.message).toContain(toHex(digest).slice(0, 8));
    expect(checkEventData(event, sha256(event.data), SHA256)).toEqual([]);
    expect(checkEventData({ ...event, type: EVENT_TYPE.EV_ACTION }, sha256(), SHA256)).toEqual([]);
  });
});
