import { spawnSync } from 'node:child_process';
import { ImageBuildError } from './build-error.ts';

export interface ToolOptions {
  folder?: string;
  /** Added to a minimal environment: nothing else of the caller's may change what is built. */
  environment?: Readonly<Record<string, string>>;
}

const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Runs a program to its end, with a fixed locale, time zone and search path, and returns what it printed. */
export function runTool(program: string, args: readonly string[], options: ToolOptions = {}): string {
  const proxies = Object.entries(process.env).filter(([name]) => /^(?:https?|no|all)_proxy$/i.test(name));
  const result = spawnSync(program, args, {
    cwd: options.folder,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      TZ: 'UTC',
      ...Object.fromEntries(proxies),
      ...options.environment,
    },
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT_BYTES,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (result.error !== undefined)
    throw new ImageBuildError('tool-failed', `${program} cannot be run: ${result.error.message}`);
  if (result.status !== 0) {
    const words = `${result.stderr}`.trim().split('\n').slice(-3).join('; ');
    throw new ImageBuildError('tool-failed', `${program} ${args[0] ?? ''} failed: ${words}`);
  }
  return result.stdout;
}
