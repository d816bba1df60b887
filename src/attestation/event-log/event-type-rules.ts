import type { LogEvent } from '../../tpm/event-log.ts';
import { EVENT_TYPE, eventTypeName } from '../../tpm/event-types.ts';
import { uefiVariableName } from '../../tpm/uefi-variable-data.ts';
import type { Finding } from '../reasons.ts';

const BOOT_PCR = 4;
const SECURE_BOOT_PCR = 7;

/**
 * Types that UEFI firmware writes into the two PCRs that decide (PFP, sections 3.3.4.5 and 3.3.4.8). A type is
 * not covered by any digest: relabelling must not smuggle an event past the rule for its type.
 */
const ALLOWED_TYPES: ReadonlyMap<number, readonly number[]> = new Map([
  [
    BOOT_PCR,
    [EVENT_TYPE.EV_SEPARATOR, EVENT_TYPE.EV_EFI_ACTION, EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION],
  ],
  [
    SECURE_BOOT_PCR,
    [
      EVENT_TYPE.EV_SEPARATOR,
      EVENT_TYPE.EV_EFI_ACTION,
      EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
      EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
      EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY,
      EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY,
    ],
  ],
]);
/** Of PCR 4 (PFP, section 10.4.4): words, never an application's load event. */
const BOOT_ACTION = /^(?:Calling|Returning from) EFI Application (?:from|to) Boot Option$/;
const ACTION_TEXT = /^[\x20-\x7e]+$/;

/** Could firmware have written events of these types here, with this content, in this order? */
export function checkEventTypes(events: readonly LogEvent[]): Finding[] {
  const misplaced = events.filter((event) => !isAllowed(event) || !hasContentOfItsType(event));
  const secureBoot = events.filter(({ pcr }) => pcr === SECURE_BOOT_PCR);
  return [...misplaced, ...outOfOrder(secureBoot)].map(({ pcr, type }) => ({
    code: 'event-log-type-unexpected',
    message: `PCR ${pcr}: ${eventTypeName(type)} does not belong there`,
  }));
}

function isAllowed({ pcr, type }: LogEvent): boolean {
  return ALLOWED_TYPES.get(pcr)?.includes(type) !== false;
}

/** An action is text, so a variable cannot pass for one; and an action's text is no application. */
function hasContentOfItsType({ pcr, type, data }: LogEvent): boolean {
  if (!ALLOWED_TYPES.has(pcr)) return true;
  const text = Buffer.from(data).toString('latin1');
  if (type === EVENT_TYPE.EV_EFI_ACTION) return ACTION_TEXT.test(text);
  return type !== EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION || !BOOT_ACTION.test(text);
}

/**
 * Configuration is measured before the separator of PCR 7, and what it verified after it. Option ROMs may be
 * verified earlier, but only by a `db` that was measured by then.
 */
function outOfOrder(events: readonly LogEvent[]): LogEvent[] {
  const separator = events.findIndex(({ type }) => type === EVENT_TYPE.EV_SEPARATOR);
  if (separator === -1) return [];
  const before = events.slice(0, separator);
  const configured = before.findIndex(
    ({ type, data }) => type === EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG && uefiVariableName(data) === 'db',
  );
  const isEarly = ({ type, data }: LogEvent, index: number) =>
    type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY &&
    (configured === -1 || index < configured || uefiVariableName(data) !== 'db');
  const isLate = ({ type }: LogEvent) => type === EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG;
  return [...before.filter(isEarly), ...events.slice(separator).filter(isLate)];
}
