/** TPMA_OBJECT (Part 2, section 8.3). */
export const OBJECT_ATTRIBUTE_BITS = {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  firmwareLimited: 8,
  svnLimited: 9,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  sign: 18,
  x509sign: 19,
} as const;

export type ObjectAttribute = keyof typeof OBJECT_ATTRIBUTE_BITS;

const DEFINED = Object.values(OBJECT_ATTRIBUTE_BITS).reduce((mask, bit) => mask | (1 << bit), 0);

export function hasAttribute(attributes: number, attribute: ObjectAttribute): boolean {
  return (attributes & (1 << OBJECT_ATTRIBUTE_BITS[attribute])) !== 0;
}

export function attributesOf(...names: readonly ObjectAttribute[]): number {
  return names.reduce((mask, name) => mask | (1 << OBJECT_ATTRIBUTE_BITS[name]), 0);
}

/** Reserved bits "shall be zero": a set one is a structure that we do not know. */
export function hasReservedBits(attributes: number): boolean {
  return (attributes & ~DEFINED) !== 0;
}
