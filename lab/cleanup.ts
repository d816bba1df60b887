import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Everything that a lab starts is ended with it: on `close`, and, when nobody gets that far, when this
 * process exits, by itself, by an exception, or by SIGINT, SIGTERM or SIGHUP. Only a SIGKILL of this
 * process leaves something behind.
 */
export interface Cleanup {
  /** A folder that disappears with the lab. */
  createFolder(purpose: string): string;
  /** A child that is killed with the lab, and forgotten when it ends by itself. */
  ownChild<T extends ChildProcess>(child: T): T;
  /** Runs last registered first. It must be synchronous and must not throw. */
  onClose(action: () => void): void;
  close(): void;
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export function createCleanup(): Cleanup {
  const actions = new Set<() => void>();
  const close = (): void => {
    for (const action of [...actions].reverse()) action();
    actions.clear();
    process.off('exit', close);
    for (const [name, handler] of handlers) process.off(name, handler);
  };
  const handlers = Object.entries(SIGNALS).map(
    ([name, number]) =>
      [
        name,
        () => {
          close();
          process.exit(128 + number);
        },
      ] as const,
  );
  process.once('exit', close);
  for (const [name, handler] of handlers) process.once(name, handler);
  return {
    createFolder(purpose) {
      const folder = mkdtempSync(join(tmpdir(), `bootward-${purpose}-`));
      actions.add(() => rmSync(folder, { recursive: true, force: true }));
      return folder;
    },
    ownChild(child) {
      const kill = () => void child.kill('SIGKILL');
      actions.add(kill);
      child.once('exit', () => actions.delete(kill));
      return child;
    },
    onClose: (action) => void actions.add(action),
    close,
  };
}
