/** Event types (TCG PC Client PFP 1.06, section 10.4.1): the ones we judge or name. */
export const EVENT_TYPE = {
  EV_NO_ACTION: 0x00000003,
  EV_SEPARATOR: 0x00000004,
  EV_ACTION: 0x00000005,
  EV_S_CRTM_VERSION: 0x00000008,
  EV_COMPACT_HASH: 0x0000000c,
  EV_OMIT_BOOT_DEVICE_EVENTS: 0x00000012,
  EV_EFI_VARIABLE_DRIVER_CONFIG: 0x80000001,
  EV_EFI_VARIABLE_BOOT: 0x80000002,
  EV_EFI_BOOT_SERVICES_APPLICATION: 0x80000003,
  EV_EFI_BOOT_SERVICES_DRIVER: 0x80000004,
  EV_EFI_GPT_EVENT: 0x80000006,
  EV_EFI_ACTION: 0x80000007,
  EV_EFI_VARIABLE_BOOT2: 0x8000000c,
  EV_EFI_VARIABLE_AUTHORITY: 0x800000e0,
  EV_EFI_SPDM_DEVICE_POLICY: 0x800000e3,
  EV_EFI_SPDM_DEVICE_AUTHORITY: 0x800000e4,
} as const;

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(EVENT_TYPE).map(([name, value]) => [value, name]),
);

export function eventTypeName(type: number): string {
  return names.get(type) ?? `event type 0x${type.toString(16).padStart(8, '0')}`;
}
