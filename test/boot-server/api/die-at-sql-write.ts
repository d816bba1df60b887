// Loaded before the server (`node --import`): once the file ARMED is there, the process ends by SIGKILL right before
// its DIE_BEFORE-th write to the database, or right after its DIE_AFTER-th. Beginning and committing are writes, too.
import { existsSync } from 'node:fs';
import { StatementSync } from 'node:sqlite';

const armed = process.env.ARMED ?? '';
const before = Number(process.env.DIE_BEFORE ?? 0);
const after = Number(process.env.DIE_AFTER ?? 0);
const WRITE = /^\s*(?:begin|commit|insert|update|delete)/i;
let writes = 0;

for (const name of ['run', 'all'] as const) {
  const original = StatementSync.prototype[name] as (...args: unknown[]) => unknown;
  const dying = function (this: StatementSync, ...args: unknown[]) {
    if (!WRITE.test(this.sourceSQL) || !existsSync(armed)) return original.apply(this, args);
    writes += 1;
    if (writes === before) process.kill(process.pid, 'SIGKILL');
    const result = original.apply(this, args);
    if (writes === after) process.kill(process.pid, 'SIGKILL');
    return result;
  };
  Object.defineProperty(StatementSync.prototype, name, { value: dying });
}
