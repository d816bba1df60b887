import { StatementSync } from 'node:sqlite';
import { vi } from 'vitest';

/**
 * What somebody else does after the server in this process has judged and before it writes: done once, by another
 * connection, when the next transaction is about to begin.
 */
export function beforeNextTransaction(act: () => void): { happened(): boolean } {
  const { run } = StatementSync.prototype;
  let happened = false;
  const spy = vi.spyOn(StatementSync.prototype, 'run').mockImplementation(function (
    this: StatementSync,
    ...parameters: unknown[]
  ) {
    if (this.sourceSQL === 'begin immediate') {
      spy.mockRestore();
      happened = true;
      act();
    }
    return Reflect.apply(run, this, parameters);
  });
  return { happened: () => happened };
}
