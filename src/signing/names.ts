/** The names that releases are known by: the closed sets and patterns of docs/protocol.md. */

export const ARCHITECTURES = ['x86-64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export const CHANNEL_NAME_PATTERN = '^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$';
const CHANNEL_NAME = new RegExp(CHANNEL_NAME_PATTERN);
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const SHA256_HEX = /^[0-9a-f]{64}$/;

export const MAX_RELEASE_NAME_LENGTH = 128;

export function isArchitecture(value: unknown): value is Architecture {
  return ARCHITECTURES.some((architecture) => architecture === value);
}

/** 1 to 32 of a-z, 0-9 and inner hyphens: a channel's name is part of file names, role names and URLs. */
export function isChannelName(value: unknown): value is string {
  return typeof value === 'string' && CHANNEL_NAME.test(value);
}

/** A positive integer that JSON readers of all languages agree on. */
export function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** What a person calls a release: 1 to 128 printable ASCII characters, no space at either end. */
export function isReleaseName(value: unknown): value is string {
  return (
    isPrintableAscii(value) &&
    value.length >= 1 &&
    value.length <= MAX_RELEASE_NAME_LENGTH &&
    value.trim() === value
  );
}

export function isPrintableAscii(value: unknown): value is string {
  return typeof value === 'string' && PRINTABLE_ASCII.test(value);
}

export function isSha256Hex(value: unknown): value is string {
  return typeof value === 'string' && SHA256_HEX.test(value);
}

export const channelRole = (channel: string): string => `channel-${channel}`;
export const channelPattern = (channel: string): string => `channels/${channel}/*`;
export const releaseTarget = (channel: string, version: number): string =>
  `channels/${channel}/${version}.json`;

export const STAGE0_ROLE = 'stage0';
export const STAGE0_PATTERN = 'stage0/*';
export const stage0Target = (architecture: Architecture, build: number): string =>
  `stage0/${architecture}-${build}.efi`;
