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

interface Misplaced {
  event: LogEvent;
  why: string;
}

/** Could firmware have written events of these types here, with this content, in this order? */
export function checkEventTypes(events: readonly LogEvent[]): Finding[] {
  const secureBoot = events.filter(({ pcr }) => pcr === SECURE_BOOT_PCR);
  return [...events.flatMap(checkType), ...outOfOrder(secureBoot)].map(({ event, why }) => ({
    code: 'event-log-type-unexpected',
    message: `PCR ${event.pcr}: ${eventTypeName(event.type)} ${why}`,
  }));
}

/** An action is text, so a variable cannot pass for one; and an action's text is no application. */
function checkType(event: LogEvent): Misplaced[] {
  const allowed = ALLOWED_TYPES.get(event.pcr);
  if (allowed === undefined) return [];
  if (!allowed.includes(event.type))
    return [{ event, why: `does not belong there, only ${allowed.map(eventTypeName).join(', ')}` }];
  const text = Buffer.from(event.data).toString('latin1');
  if (event.type === EVENT_TYPE.EV_EFI_ACTION && !ACTION_TEXT.test(text))
    return [{ event, why: 'holds something else than the text of an action' }];
  if (event.type === EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION && BOOT_ACTION.test(text))
    return [{ event, why: 'holds the text of an action' }];
  return [];
}

/**
 * Configuration is measured before the separator of PCR 7, and what it verified after it. Option ROMs may be
 * verified earlier, but only by a `db` that was measured by then.
 */
function outOfOrder(events: readonly LogEvent[]): Misplaced[] {
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
  const early = before.filter(isEarly);
  const late = events.slice(separator).filter(isLate);
  return [
    ...early.map((event) => ({ event, why: 'stands before the separator, expected after it' })),
    ...late.map((event) => ({ event, why: 'stands after the separator, expected before it' })),
  ];
}
