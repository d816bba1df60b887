import { asciiBytes, sha256 } from '../../../src/core/bytes.ts';
import { authenticodeSha256 } from '../../../src/signing/efi/authenticode.ts';
import { measureUki } from '../../../src/signing/efi/uki-measurement.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { bootEvents, type WrittenEvent, writeLog } from '../../attestation/event-log/event-log-writer.ts';
import { secureBootEvents } from '../../attestation/policy/secure-boot-events.ts';

const EV_IPL = 0x0d;

/**
 * What firmware and systemd-stub log while this stage-0 is started under Secure Boot.
 *
 * @param without.startedByFirmware Authenticode of the inner kernel, measured when Secure Boot is off
 */
export function logOfStage0(image: Uint8Array, without?: { startedByFirmware: Uint8Array }): Uint8Array {
  const { authenticodeSha256: digest, sections } = measureUki(image);
  return writeLog([
    ...firmwareEvents({ secureBoot: without === undefined }),
    applicationEvent(digest),
    ...sections.flatMap((section) => [
      stubEvent(section.name, sha256(asciiBytes(`${section.name}\0`))),
      stubEvent(section.name, section.sha256),
    ]),
    ...(without ? [applicationEvent(without.startedByFirmware)] : []),
  ]);
}

/** The same when firmware starts a kernel by itself: no stub, no sections. */
export function logOfKernel(kernel: Uint8Array): Uint8Array {
  return writeLog([...firmwareEvents({ secureBoot: true }), applicationEvent(authenticodeSha256(kernel))]);
}

/** Everything up to the first application: PCR 0–7 with their separators. */
function firmwareEvents({ secureBoot }: { secureBoot: boolean }): WrittenEvent[] {
  const others = bootEvents().filter(
    ({ pcr, type }) => pcr < 7 && type !== EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
  );
  return [...others, ...secureBootEvents({ on: secureBoot })];
}

function applicationEvent(digest: Uint8Array): WrittenEvent {
  return {
    pcr: 4,
    type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
    data: asciiBytes('https://boot.example/stage0.efi'),
    digests: [{ id: ALG.SHA256, bytes: digest }],
  };
}

function stubEvent(name: string, digest: Uint8Array): WrittenEvent {
  return { pcr: 11, type: EV_IPL, data: asciiBytes(name), digests: [{ id: ALG.SHA256, bytes: digest }] };
}
