/** One parser, or one chain of them, that reads bytes of an attacker. */
export interface FuzzTarget {
  readonly name: string;
  /** How its inputs are mutated. */
  readonly format: 'bytes' | 'json';
  prepare(): PreparedTarget | Promise<PreparedTarget>;
}

export interface PreparedTarget {
  readonly seeds: readonly Uint8Array[];
  /**
   * Reads the input. May throw a CodedError; anything else that it throws is a finding, a {@link Violation}
   * too. What it returns must not depend on anything but the input's own bytes.
   */
  examine(input: Uint8Array): unknown;
}

/** A property that an input breaks, though nothing crashed. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** For what never throws: a verdict must not be a crash in disguise. */
export function requireNoCrash<T extends { reasons: readonly { code: string; message: string }[] }>(
  verdict: T,
): T {
  const crash = verdict.reasons.find(({ code }) => code === 'verification-failed');
  if (crash !== undefined) throw new Violation(`verification failed: ${crash.message}`);
  return verdict;
}

/** For a structure that has one spelling: what was read, written again, is what was there. */
export function requireSame(written: Uint8Array, input: Uint8Array): void {
  if (Buffer.compare(written, input) !== 0)
    throw new Violation(`written again it is ${Buffer.from(written).toString('hex')}`);
}
