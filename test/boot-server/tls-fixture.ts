import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { loadTlsFolder, type TlsIdentity } from '../../src/boot-server/tls/tls-folder.ts';
import { systemClock } from '../../src/core/clock.ts';

export interface TlsFixture {
  folder: string;
  tls: TlsIdentity;
  /** Every log line of the doors made with `doorOptions`, parsed. */
  lines: Record<string, unknown>[];
  doorOptions: {
    logger: pino.Logger;
    maxConnections: number;
    maxBodyBytes: number;
    host: string;
    port: number;
  };
  remove(): Promise<void>;
}

/** Certificates for loopback, made once for a test file, and what every door wants. */
export async function createTlsFixture(): Promise<TlsFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-test-'));
  const publicHosts = ['127.0.0.1', '::1', 'localhost'];
  const tls = await loadTlsFolder({ folder, publicHosts, clock: systemClock });
  const lines: Record<string, unknown>[] = [];
  const logger = pino(
    { level: 'debug', base: null },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  return {
    folder,
    tls,
    lines,
    doorOptions: { logger, maxConnections: 100, maxBodyBytes: 65_536, host: '127.0.0.1', port: 0 },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
