import { asciiBytes, sha256 } from '../../core/bytes.ts';
import { authenticodeSha256 } from '../../signing/efi/authenticode.ts';
import { measureUki } from '../../signing/efi/uki-measurement.ts';
import { ALG } from '../../tpm/algorithms.ts';
import { EVENT_TYPE } from '../../tpm/event-types.ts';
import { bootEvents, type WrittenEvent, writeLog } from './event-log-writer.ts';
import { secureBootEvents } from './secure-boot-events.ts';

const EV_IPL = 0x0d;

/**
 * What firmware and systemd-stub log while this stage-0 is started under Secure Boot.
 *
 * @param given.startedByFirmware Authenticode of the inner kernel, measured when Secure Boot is off
 * @param given.firmware its version
 */
export function logOfStage0(
  image: Uint8Array,
  { startedByFirmware, firmware = '1.0' }: { startedByFirmware?: Uint8Array; firmware?: string } = {},
): Uint8Array {
  const { authenticodeSha256: digest, sections } = measureUki(image);
  return writeLog([
    ...firmwareEvents({ secureBoot: startedByFirmware === undefined, firmware }),
    applicationEvent(digest),
    ...sections.flatMap((section) => [
      stubEvent(section.name, sha256(asciiBytes(`${section.name}\0`))),
      stubEvent(section.name, section.sha256),
    ]),
    ...(startedByFirmware ? [applicationEvent(startedByFirmware)] : []),
  ]);
}

/** The same when firmware starts a kernel by itself: no stub, no sections. */
export function logOfKernel(kernel: Uint8Array): Uint8Array {
  return writeLog([
    ...firmwareEvents({ secureBoot: true, firmware: '1.0' }),
    applicationEvent(authenticodeSha256(kernel)),
  ]);
}

/** Everything up to the first application: PCR 0–7 with their separators. */
function firmwareEvents({ secureBoot, firmware }: { secureBoot: boolean; firmware: string }): WrittenEvent[] {
  const others = bootEvents().filter(
    ({ pcr, type }) => pcr < 7 && type !== EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
  );
  const version = Buffer.from(`${firmware}\0`, 'utf16le');
  return [
    ...others.map((event) =>
      event.type === EVENT_TYPE.EV_S_CRTM_VERSION ? { ...event, data: version } : event,
    ),
    ...secureBootEvents({ on: secureBoot }),
  ];
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
