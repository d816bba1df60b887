import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const AGENT = fileURLToPath(new URL('../../agent/bootward-agent', import.meta.url));

export interface AgentSettings {
  folder: string;
  serverUrl: string;
  serverCa: string;
  tufRoot: Uint8Array;
  stage0Build?: number;
  builtAt?: number;
  retryAttempts?: number;
  /** A stage-0 that keeps a floor: its files for that. */
  floor?: Readonly<Record<string, Uint8Array>>;
}

/** One marker line, `bootward: [1.23s] step=verdict code=…`. */
export interface Mark {
  step: string;
  values: Readonly<Record<string, string>>;
}

export interface AgentRun {
  status: number | null;
  stdout: string;
  console: string;
  marks: readonly Mark[];
  /** The code of the line that says why it stopped. */
  stopCode: string | undefined;
}

export interface StartedAgent {
  console(): string;
  /** At the terminal, if it has one; the line end is not added. */
  type(text: string): void;
  signal(signal: NodeJS.Signals): void;
  ended: Promise<AgentRun>;
}

/** What a stage-0 build bakes in. */
export function bakeSettings(settings: AgentSettings): void {
  const etc = join(settings.folder, 'etc');
  mkdirSync(etc, { recursive: true });
  const conf = {
    server_url: settings.serverUrl,
    stage0_build: settings.stage0Build ?? 1,
    built_at: settings.builtAt ?? 1_700_000_000,
    on_failure: 'poweroff',
    retry_attempts: settings.retryAttempts ?? 1,
    retry_min_seconds: 1,
    retry_max_seconds: 2,
  };
  const text = Object.entries(conf).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(join(etc, 'agent.conf'), text.join(''));
  writeFileSync(join(etc, 'server-ca.pem'), settings.serverCa);
  writeFileSync(join(etc, 'root.json'), settings.tufRoot);
  for (const name of readdirSync(etc))
    if (/^floor-key$|^\d+\.root\.json$/.test(name)) rmSync(join(etc, name));
  for (const [name, bytes] of Object.entries(settings.floor ?? {})) writeFileSync(join(etc, name), bytes);
}

export interface AgentPlace {
  folder: string;
  tcti: string;
  shell?: readonly string[];
  eventLog?: string;
  /** Standard input and the console are a terminal, as in stage-0; there is no standard output then. */
  terminal?: boolean;
  /** Instead of the one in this checkout. */
  program?: string;
  /** Instead of the folder's own settings. */
  etc?: string;
}

export function startAgent(on: AgentPlace, ...command: string[]): StartedAgent {
  const run = join(on.folder, 'run');
  rmSync(run, { recursive: true, force: true });
  const plain = [...(on.shell ?? ['dash']), on.program ?? AGENT, ...command];
  const [program = '', ...words] =
    on.terminal === true ? ['script', '-qec', plain.join(' '), '/dev/null'] : plain;
  const agent = spawn(program, words, {
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      BOOTWARD_ETC: on.etc ?? join(on.folder, 'etc'),
      BOOTWARD_RUN: run,
      BOOTWARD_EVENT_LOG: on.eventLog ?? join(on.folder, 'no-event-log'),
      BOOTWARD_TOKEN: join(on.folder, 'token'),
      BOOTWARD_NOTE: join(on.folder, 'boot.json'),
      BOOTWARD_PSTORE: join(on.folder, 'pstore'),
      TPM2TOOLS_TCTI: on.tcti,
    },
    stdio: [on.terminal === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let text = '';
  agent.stdout?.on('data', (chunk) => {
    if (on.terminal === true) text += String(chunk).replaceAll('\r\n', '\n');
    else stdout += chunk;
  });
  agent.stderr?.on('data', (chunk) => (text += chunk));
  const ended = new Promise<AgentRun>((resolve, reject) => {
    agent.on('error', reject);
    agent.on('close', (status) => resolve({ status, stdout, console: text, ...readMarks(text) }));
  });
  return {
    console: () => text,
    type: (typed) => void agent.stdin?.write(typed),
    signal: (signal) => void agent.kill(signal),
    ended,
  };
}

function readMarks(text: string): Pick<AgentRun, 'marks' | 'stopCode'> {
  const marks = [...text.matchAll(/^bootward: \[\d+\.\d+s\] step=(\S+)(.*)$/gm)].map(
    ([, step = '', rest = '']) => ({
      step,
      values: Object.fromEntries([...rest.matchAll(/(\S+?)=(\S*)/g)].map(([, key, value]) => [key, value])),
    }),
  );
  const last = marks.findLast(({ step }) => ['stop', 'retry', 'wait'].includes(step));
  return { marks, stopCode: last?.values.code };
}
