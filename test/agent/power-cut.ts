import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { approve, type FloorKey } from './floor-lab.ts';
import type { ScriptedLab } from './scripted-lab.ts';
import type { WorldChanges } from './signed-world.ts';

/** What changes the TPM when a floor is kept (TPM_CC, Part 2, 6.5.2). */
const COMMAND_CODES = {
  NV_DefineSpace: 0x12a,
  NV_Write: 0x137,
  NV_WriteLock: 0x138,
  PCR_Extend: 0x182,
} as const;
export type FloorCommand = keyof typeof COMMAND_CODES;
export const FLOOR_COMMANDS = Object.keys(COMMAND_CODES) as FloorCommand[];

interface Cut {
  key: FloorKey;
  world: WorldChanges;
  /** The first of these that the agent sends. */
  command: FloorCommand;
  /** Whether the TPM carries it out before everything is dark. */
  fate: 'lost' | 'kept';
}

/** A boot that is killed, poison and all, when its TPM gets one command; the TPM's reset is the caller's. */
export async function cutPower(lab: ScriptedLab, { key, world, command, fate }: Cut): Promise<void> {
  const wire = await tapTpm(lab, { code: COMMAND_CODES[command], fate });
  const { agent, server } = await lab.start({
    world,
    settings: { floorKey: key.publicPem },
    lies: { approval: approve(key) },
    tcti: wire.tcti,
  });
  void wire.reached.then(() => agent.signal('SIGKILL'));
  const { status } = await agent.ended;
  await server.close();
  await wire.close();
  if (status !== null) throw new Error(`the agent ended by itself, with ${status}: ${agent.console()}`);
}

interface Tap {
  tcti: string;
  reached: Promise<void>;
  close(): Promise<void>;
}

/** Stands between tools and the chip, and stops for ever at one command. */
async function tapTpm(lab: ScriptedLab, at: { code: number; fate: Cut['fate'] }): Promise<Tap> {
  const path = join(lab.folder, 'tap.sock');
  const chip = lab.tpm.tcti.replace('swtpm:path=', '');
  const sockets = new Set<Socket>();
  let reach: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const open = (listenAt: string, forwardTo: string, isCommands: boolean) =>
    listen(listenAt, (client) => {
      const tpm = createConnection(forwardTo);
      for (const socket of [client, tpm]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => [client, tpm].forEach((each) => void each.destroy()));
      }
      let dark = false;
      client.on('data', (bytes: Buffer) => {
        const isCut = isCommands && bytes.length >= 10 && bytes.readUInt32BE(6) === at.code;
        if (isCut && at.fate === 'lost') return reach();
        tpm.write(bytes);
        dark ||= isCut;
      });
      tpm.on('data', (bytes) => (dark ? reach() : void client.write(bytes)));
    });
  const servers = [await open(path, chip, true), await open(`${path}.ctrl`, `${chip}.ctrl`, false)];
  return {
    tcti: `swtpm:path=${path}`,
    reached,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => once(server.close(), 'close')));
    },
  };
}

async function listen(path: string, onClient: (client: Socket) => void): Promise<Server> {
  const server = createServer(onClient).listen(path);
  await once(server, 'listening');
  return server;
}
