// Loaded before a program (`node --import`): the process ends by SIGKILL right before its DIE_AT-th change of
// the file system's names, as a power cut would have it.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const dieAt = Number(process.env.DIE_AT);
let changes = 0;

for (const name of ['rename', 'link', 'unlink'] as const) {
  const original = fs.promises[name] as (...args: unknown[]) => Promise<void>;
  const dying = (...args: unknown[]) => {
    changes += 1;
    if (changes === dieAt) process.kill(process.pid, 'SIGKILL');
    return original(...args);
  };
  Object.assign(fs.promises, { [name]: dying });
}
syncBuiltinESMExports();
