import { SignerStateError } from '../errors.ts';

/** What the records of the audit log mean, by number; a log without one is of format 1. */
export const STATE_FORMAT = 2;

/**
 * A step from one format to the next, as the log tells of it. Records are never written anew.
 * A type, because no interface is assignable to JsonObject.
 */
export type MigratedEvent = {
  readonly type: 'migrated';
  readonly from: number;
  readonly to: number;
  readonly what: string;
};

/**
 * By the number that each leads to. Format 1 remembered of a listed target its SHA-256 only, which is how those
 * records still read: the rest of such a target is settled by the next version that is signed.
 */
const MIGRATIONS: ReadonlyMap<number, string> = new Map([
  [2, 'whole entries of listings are remembered, and the roles that targets delegates'],
]);

/** What has to be recorded, in this order, before anything else is. */
export function migrationsFrom(format: number): readonly MigratedEvent[] {
  return [...MIGRATIONS]
    .filter(([to]) => to > format)
    .map(([to, what]) => ({ type: 'migrated', from: to - 1, to, what }));
}

/** @throws {SignerStateError} `state-newer` */
export function requireReadable(format: number): number {
  if (Number.isSafeInteger(format) && format >= 1 && format <= STATE_FORMAT) return format;
  throw new SignerStateError(
    'state-newer',
    `the state is of format ${format} and this boot-signer knows ${STATE_FORMAT}: start the newer one`,
  );
}
