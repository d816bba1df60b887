import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
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
}

export function startAgent(
  on: { folder: string; tcti: string; shell?: readonly string[]; eventLog?: string },
  ...command: string[]
): StartedAgent {
  const run = join(on.folder, 'run');
  rmSync(run, { recursive: true, force: true });
  const [shell = 'dash', ...shellArguments] = on.shell ?? ['dash'];
  const agent = spawn(shell, [...shellArguments, AGENT, ...command], {
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      BOOTWARD_ETC: join(on.folder, 'etc'),
      BOOTWARD_RUN: run,
      BOOTWARD_EVENT_LOG: on.eventLog ?? join(on.folder, 'no-event-log'),
      TPM2TOOLS_TCTI: on.tcti,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let text = '';
  agent.stdout.on('data', (chunk) => (stdout += chunk));
  agent.stderr.on('data', (chunk) => (text += chunk));
  const ended = new Promise<AgentRun>((resolve, reject) => {
    agent.on('error', reject);
    agent.on('close', (status) => resolve({ status, stdout, console: text, ...readMarks(text) }));
  });
  return { console: () => text, signal: (signal) => void agent.kill(signal), ended };
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
