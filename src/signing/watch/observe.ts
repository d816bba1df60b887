import { messageOf } from '../../core/errors.ts';
import { TufError } from '../tuf/errors.ts';
import { lengthOf } from '../tuf/freshness.ts';
import { type VerifiedRepository, verifyRepository } from '../tuf/verify-repository.ts';
import { DoorUnreachableError } from './fetch-metadata.ts';
import type { WatchMemory } from './watch-memory.ts';

/** All that a door can be found to do, from outside. */
export const SIGHTINGS = ['current', 'frozen', 'rolled-back', 'expired', 'unreachable', 'forged'] as const;
export type SightingKind = (typeof SIGHTINGS)[number];

export interface Sighting {
  readonly kind: SightingKind;
  readonly atSeconds: number;
  /** One sentence, ASCII as far as it is ours. */
  readonly detail: string;
  /** By role; of good metadata only. */
  readonly versions?: Readonly<Record<string, number>>;
  readonly ageSeconds?: number;
}

export interface Observation {
  readonly sighting: Sighting;
  /** What is known from now on; the same as before when nothing good was seen. */
  readonly memory: WatchMemory;
}

export interface ObserveInput {
  readonly trustedRoot: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly memory: WatchMemory;
  readonly nowMs: number;
  readonly maxAgeSeconds: number;
}

/** Judges what a door served as a client would, by what was seen of it before. */
export function observe(input: ObserveInput): Observation {
  const { trustedRoot, files, memory, nowMs } = input;
  try {
    const verified = verifyRepository({ trustedRoot, files, nowMs, previous: memory.roles });
    return accept(verified, input);
  } catch (error) {
    return { sighting: sightingOf(error, nowMs), memory };
  }
}

/** @throws what is no failure of the door */
export function sightingOf(error: unknown, nowMs: number): Sighting {
  const seen = { atSeconds: Math.floor(nowMs / 1000), detail: messageOf(error) };
  if (error instanceof DoorUnreachableError) return { kind: 'unreachable', ...seen };
  if (error instanceof TufError) return { kind: kindOf(error), ...seen };
  throw error;
}

function kindOf({ code }: TufError): SightingKind {
  if (code === 'tuf-rollback') return 'rolled-back';
  if (code === 'tuf-expired') return 'expired';
  return code === 'tuf-file-missing' ? 'unreachable' : 'forged';
}

function accept(verified: VerifiedRepository, input: ObserveInput): Observation {
  const atSeconds = Math.floor(input.nowMs / 1000);
  const memory = remember(verified, input.memory, atSeconds);
  const ageSeconds = ageOf(memory, atSeconds);
  const versions = Object.fromEntries([...verified.roles].map(([role, { version }]) => [role, version]));
  const timestamp = `timestamp ${verified.roles.get('timestamp')?.version}`;
  const isFrozen = ageSeconds > input.maxAgeSeconds;
  const detail = isFrozen
    ? `${timestamp} is ${lengthOf(ageSeconds)} old, a newer one was due after ${lengthOf(input.maxAgeSeconds)}`
    : `${timestamp} is ${lengthOf(ageSeconds)} old`;
  const sighting = {
    kind: isFrozen ? 'frozen' : 'current',
    atSeconds,
    detail,
    versions,
    ageSeconds,
  } as const;
  return { sighting, memory };
}

function remember({ roles }: VerifiedRepository, before: WatchMemory, atSeconds: number): WatchMemory {
  const isNew = before.roles.get('timestamp')?.sha256 !== roles.get('timestamp')?.sha256;
  const timestampSeenSeconds = isNew ? atSeconds : Math.min(before.timestampSeenSeconds, atSeconds);
  const seen = [...roles].map(([role, { version, sha256, signedAtSeconds }]) => {
    const known =
      role === 'timestamp' ? (signedAtSeconds ?? before.roles.get(role)?.signedAtSeconds) : undefined;
    return [role, { version, sha256, ...(known !== undefined && { signedAtSeconds: known }) }] as const;
  });
  return { ...before, roles: new Map(seen), timestampSeenSeconds };
}

/** Its own word, but never later than when we saw it first: online keys in bad hands could write any time. */
function ageOf({ roles, timestampSeenSeconds }: WatchMemory, atSeconds: number): number {
  const signedAtSeconds = roles.get('timestamp')?.signedAtSeconds ?? timestampSeenSeconds;
  return Math.max(0, atSeconds - Math.min(signedAtSeconds, timestampSeenSeconds));
}
