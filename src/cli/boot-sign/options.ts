import { InvalidArgumentError } from 'commander';
import {
  ARCHITECTURES,
  type Architecture,
  isArchitecture,
  isChannelName,
  isReleaseName,
  isVersion,
} from '../../signing/names.ts';
import { isDays, MAX_DAYS } from '../../signing/repository/settings.ts';

// From what was typed to values, with the sentence that explains a refusal.

export function toPositiveInteger(text: string): number {
  const value = /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : undefined;
  if (!isVersion(value)) throw new InvalidArgumentError('It is a positive integer.');
  return value;
}

export function toDays(text: string): number {
  const value = toPositiveInteger(text);
  if (!isDays(value)) throw new InvalidArgumentError(`It is a number of days from 1 to ${MAX_DAYS}.`);
  return value;
}

export function toArchitecture(text: string): Architecture {
  if (!isArchitecture(text)) throw new InvalidArgumentError(`It is one of ${ARCHITECTURES.join(', ')}.`);
  return text;
}

export function toChannel(text: string): string {
  if (!isChannelName(text))
    throw new InvalidArgumentError('It is 1 to 32 of a-z, 0-9 and hyphens that are not at an end.');
  return text;
}

export function toChannels(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, toChannel(text)];
}

export function toDescriptor(text: string): number {
  return text === '0' ? 0 : toPositiveInteger(text);
}

/** For an option that may be given more than once. */
export function toFiles(path: string, before: readonly string[] = []): readonly string[] {
  return [...before, path];
}

export function toSha256(text: string): string {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new InvalidArgumentError('It is a SHA-256: 64 lower-case hex digits.');
  return text;
}

/** Enough of an id that it hardly means two keys. */
export function toKeyId(text: string): string {
  if (!/^[0-9a-f]{8,64}$/.test(text))
    throw new InvalidArgumentError('It is a key id: 64 hex digits, or the first 8 or more of them.');
  return text;
}

export function toReleaseName(text: string): string {
  if (!isReleaseName(text)) throw new InvalidArgumentError('It is 1 to 128 printable ASCII characters.');
  return text;
}

/** SOURCE_DATE_EPOCH (reproducible-builds.org) is how builds are told what time to write. */
export function defaultTimeSeconds(environment: NodeJS.ProcessEnv, nowMs: number): number {
  const epoch = environment.SOURCE_DATE_EPOCH;
  return epoch === undefined || epoch === '' ? Math.floor(nowMs / 1000) : toPositiveInteger(epoch);
}
