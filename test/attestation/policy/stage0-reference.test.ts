import { describe, expect, it } from 'vitest';
import { predictStage0Pcrs } from '../../../src/attestation/policy/stage0-reference.ts';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import { ACTION_DATA, SEPARATOR_DATA, writeLog } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { pcrsOf } from '../evidence-fixture.ts';

const image = asciiBytes('Authenticode of the image');
const kernel = asciiBytes('Authenticode of the kernel');
const NAMES = ['.linux', '.osrel', '.cmdline', '.initrd', '.splash', '.dtb', '.pcrpkey'];
const sections = NAMES.map((name) => ({ name, sha256: sha256(asciiBytes(`content of ${name}`)) }));

const application = (hashed: Uint8Array) => ({
  pcr: 4,
  type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
  data: asciiBytes('path'),
  hashed,
});
/** What OVMF and systemd-stub 252 log for such a boot (CLIENTS: measured on both architectures). */
const bootLog = (...applications: Uint8Array[]) =>
  writeLog([
    { pcr: 4, type: EVENT_TYPE.EV_EFI_ACTION, data: ACTION_DATA },
    { pcr: 4, type: EVENT_TYPE.EV_SEPARATOR, data: SEPARATOR_DATA },
    ...applications.map(application),
    ...NAMES.flatMap((name) => [
      { pcr: 11, type: 0x0d, data: asciiBytes(name), hashed: asciiBytes(`${name}\0`) },
      { pcr: 11, type: 0x0d, data: asciiBytes(name), hashed: asciiBytes(`content of ${name}`) },
    ]),
  ]);

describe('predicted PCRs', () => {
  const predicted = predictStage0Pcrs({
    authenticodeSha256: sha256(image),
    innerKernelAuthenticodeSha256: sha256(kernel),
    sections: [...sections].reverse(),
  });
  const hexOf = (log: Uint8Array, pcr: number) => toHex(pcrsOf(log).get(pcr) ?? new Uint8Array(0));

  it('are what a boot with Secure Boot logs', () => {
    const log = bootLog(image);
    expect(toHex(predicted.pcr4SecureBoot)).toBe(hexOf(log, 4));
    expect(toHex(predicted.pcr11)).toBe(hexOf(log, 11));
  });

  it('have the inner kernel as well without Secure Boot', () => {
    expect(toHex(predicted.pcr4NoSecureBoot ?? new Uint8Array(0))).toBe(hexOf(bootLog(image, kernel), 4));
  });

  it('say nothing of a boot without Secure Boot when the inner kernel is not known', () => {
    expect(predictStage0Pcrs({ authenticodeSha256: sha256(image), sections })).not.toHaveProperty(
      'pcr4NoSecureBoot',
    );
  });

  it('have nothing of a section that the image has not', () => {
    const some = sections.filter(({ name }) => name !== '.splash' && name !== '.dtb');
    const expected = writeLog(
      some.flatMap(({ name }) => [
        { pcr: 11, type: 0x0d, data: asciiBytes(name), hashed: asciiBytes(`${name}\0`) },
        { pcr: 11, type: 0x0d, data: asciiBytes(name), hashed: asciiBytes(`content of ${name}`) },
      ]),
    );
    const { pcr11 } = predictStage0Pcrs({ authenticodeSha256: sha256(image), sections: some });
    expect(toHex(pcr11)).toBe(hexOf(expected, 11));
  });

  it('leave sections out that systemd-stub does not measure', () => {
    const more = [
      ...sections,
      { name: '.sbat', sha256: sha256(image) },
      { name: '.text', sha256: sha256(image) },
    ];
    const { pcr11 } = predictStage0Pcrs({ authenticodeSha256: sha256(image), sections: more });
    expect(toHex(pcr11)).toBe(toHex(predicted.pcr11));
  });
});
