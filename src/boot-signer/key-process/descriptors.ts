/** What the key process inherits. Secrets given by descriptor come behind these, under the numbers they have. */
export const DESCRIPTORS = { channel: 3, log: 4, anchor: 5, lock: 6 } as const;
export const FIRST_SECRET_DESCRIPTOR = 7;
