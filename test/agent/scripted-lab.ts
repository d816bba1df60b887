import { join } from 'node:path';
import { createCleanup } from '../../lab/cleanup.ts';
import { createTpmManufacturer } from '../../lab/software-tpm.ts';
import {
  type AgentRun,
  type AgentSettings,
  bakeSettings,
  type StartedAgent,
  startAgent,
} from './agent-run.ts';
import { type HostTpm, startHostTpm } from './host-tpm.ts';
import {
  issueTlsIdentity,
  type Lies,
  type ScriptedServer,
  startScriptedServer,
  type TlsIdentity,
} from './scripted-server.ts';
import {
  createKeys,
  createSignedWorld,
  type SignedWorld,
  type WorldChanges,
  type WorldKeys,
} from './signed-world.ts';

/** SHA-256("bootward poison v1"), extended once into a PCR of zeros. */
export const POISONED = '67efb5563df0cf3396264a8732bdd4d2fa9e5fce7d1106740309513d59959050';
export const ZERO = '0'.repeat(64);

export interface Scenario {
  world?: WorldChanges;
  lies?: Lies;
  settings?: Partial<AgentSettings>;
  command?: readonly string[];
  shell?: readonly string[];
  terminal?: boolean;
  /** An installed agent, and its settings. */
  installed?: { program: string; etc: string };
  /** Instead of the TPM that there is. */
  tcti?: string;
  /** After the settings were written. */
  bake?: () => void;
  /** No power on before it: the TPM stays as the last run left it. */
  keepPower?: boolean;
  /** After power on, before the agent starts. */
  prepare?: (tpm: HostTpm) => void;
}

export interface Outcome extends AgentRun {
  pcr14: string;
  server: ScriptedServer;
  world: SignedWorld;
}

/** One TPM, one set of keys, one scripted server for each run. */
export interface ScriptedLab {
  readonly folder: string;
  readonly tpm: HostTpm;
  readonly keys: WorldKeys;
  readonly tls: TlsIdentity;
  /** Power on, one run of the agent, and what it left in the TPM. */
  run(scenario?: Scenario): Promise<Outcome>;
  /** The same, while it runs. */
  start(scenario?: Scenario): Promise<{ agent: StartedAgent; server: ScriptedServer; world: SignedWorld }>;
  close(): void;
}

export async function openScriptedLab(): Promise<ScriptedLab> {
  const cleanup = createCleanup();
  const folder = cleanup.createFolder('agent');
  const manufacturer = createTpmManufacturer(join(folder, 'manufacturer'));
  const tpm = await startHostTpm({ manufacturer, folder }, cleanup);
  const keys = createKeys();
  const tls = await issueTlsIdentity();

  async function start(scenario: Scenario = {}) {
    const world = await createSignedWorld(keys, scenario.world);
    const server = await startScriptedServer(world, tls);
    server.lies = scenario.lies ?? {};
    if (scenario.keepPower !== true) tpm.reset();
    scenario.prepare?.(tpm);
    bakeSettings({
      ...{ folder, serverUrl: server.url, serverCa: server.ca, tufRoot: world.root },
      ...scenario.settings,
    });
    scenario.bake?.();
    const command = scenario.command ?? ['boot', '--handover', 'print'];
    const shell = scenario.shell ?? ['dash'];
    const { terminal = false, installed } = scenario;
    const place = {
      folder,
      tcti: scenario.tcti ?? tpm.tcti,
      shell,
      terminal,
      ...installed,
    };
    return { agent: startAgent(place, ...command), server, world };
  }

  return {
    ...{ folder, tpm, keys, tls, start },
    async run(scenario) {
      const { agent, server, world } = await start(scenario);
      const ended = await agent.ended;
      await server.close();
      return { ...ended, pcr14: tpm.pcr(14), server, world };
    },
    close: cleanup.close,
  };
}
