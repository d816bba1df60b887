import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { HostTpm } from './host-tpm.ts';

/** TPM_RC_FAILURE (Part 2, 6.6.3), as a whole response. */
export const TPM_FAILURE = Buffer.from('80010000000a00000101', 'hex');

/**
 * What becomes of a command: it is passed on and answered; it never arrives, or it is carried out, and then there is
 * silence; or this is the answer, and the chip knows nothing.
 */
export type Fate = 'passed' | 'lost' | 'kept' | Buffer;

export interface Tap {
  tcti: string;
  /** At the first silence. */
  reached: Promise<void>;
  close(): Promise<void>;
}

/** TPM_CC of a command, 0 where there is none. */
export function commandCode(bytes: Buffer): number {
  return bytes.length >= 10 ? bytes.readUInt32BE(6) : 0;
}

/** Stands between tools and the chip. */
export async function tapTpm(
  chip: HostTpm,
  { folder, judge }: { folder: string; judge: (command: Buffer) => Fate },
): Promise<Tap> {
  const path = join(folder, 'tap.sock');
  const chipPath = chip.tcti.replace('swtpm:path=', '');
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
        const fate = isCommands ? judge(bytes) : 'passed';
        if (fate === 'lost') return reach();
        if (fate instanceof Buffer) return void client.write(fate);
        tpm.write(bytes);
        dark ||= fate === 'kept';
      });
      tpm.on('data', (bytes) => (dark ? reach() : void client.write(bytes)));
    });
  const servers = [await open(path, chipPath, true), await open(`${path}.ctrl`, `${chipPath}.ctrl`, false)];
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
