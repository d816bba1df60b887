/** What a challenge asks evidence for; evidence for one purpose is worthless for another. */
export const PURPOSES = ['enrol', 'boot', 'health', 'reattest'] as const;

export type Purpose = (typeof PURPOSES)[number];

export function isPurpose(value: unknown): value is Purpose {
  return PURPOSES.some((purpose) => purpose === value);
}
