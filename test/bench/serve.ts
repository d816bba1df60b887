import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf, download, type Measurement, spreadOf } from './bench-process.ts';
import {
  type BenchServer,
  type BenchWorld,
  BODY_BYTES,
  createBenchWorld,
  startBenchServer,
} from './bench-world.ts';

const ROUNDS = 5;
const DOWNLOADS = 8;

/**
 * Server CPU per GiB over TLS 1.3 and HTTP/1.1, ours and nginx in alternation, so that what else the
 * machine does falls on both. The same file, certificate and client; both are warm: nginx has the file in
 * the page cache, we have it verified in memory.
 */
export async function benchServing(): Promise<Measurement[]> {
  const world = await createBenchWorld({ artifacts: 1 });
  const ours = await startBenchServer(world);
  const nginx = await startNginx(world);
  const seconds = { ours: [] as number[], nginx: [] as number[], ratio: [] as number[] };
  try {
    const [artifact = ''] = world.artifacts;
    await Promise.all([ours, nginx].map((server) => download([server.urlOf(artifact)])));
    for (let round = 0; round < ROUNDS; round += 1) {
      const own = await cpuPerGibibyte(ours, artifact);
      const other = await cpuPerGibibyte(nginx, artifact);
      seconds.ours.push(own);
      seconds.nginx.push(other);
      seconds.ratio.push(own / other);
    }
  } finally {
    await Promise.all([ours.stop(), nginx.stop()]);
    await world.remove();
  }
  return [
    { name: 'server CPU s per GiB over TLS, Bootward', value: spreadOf(seconds.ours), aim: '' },
    { name: 'server CPU s per GiB over TLS, nginx', value: spreadOf(seconds.nginx), aim: '' },
    { name: 'ratio to nginx in the same round', value: spreadOf(seconds.ratio), aim: '≤ 1.0' },
  ];
}

async function cpuPerGibibyte(server: BenchServer, artifact: string): Promise<number> {
  const before = cpuSecondsOf(server.process);
  await download(Array.from({ length: DOWNLOADS }, () => server.urlOf(artifact)));
  return (cpuSecondsOf(server.process) - before) / ((DOWNLOADS * BODY_BYTES) / 2 ** 30);
}

/** Debian's nginx with its defaults for static files, one process, our certificate. */
async function startNginx({ folder }: BenchWorld): Promise<BenchServer> {
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  await mkdir(join(folder, 'nginx'));
  await writeFile(file, nginxConfiguration(folder, port));
  const server = spawn('nginx', ['-p', folder, '-c', file, '-e', join(folder, 'nginx', 'error.log')], {
    stdio: 'ignore',
  });
  await delay(500);
  return {
    process: server,
    urlOf: (sha256) => `https://127.0.0.1:${port}/${sha256.slice(0, 2)}/${sha256}`,
    async stop() {
      server.kill();
      await once(server, 'exit');
    },
  };
}

function nginxConfiguration(folder: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path nginx/${kind};`,
  );
  return `daemon off; master_process off; pid nginx/pid; user root;
events {}
http {
  access_log off; sendfile on; tcp_nopush on; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port} ssl; root ${folder}/artifacts;
    ssl_certificate ${folder}/tls/agents.pem; ssl_certificate_key ${folder}/tls/agents.key; ssl_protocols TLSv1.3;
  }
}
`;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

if (import.meta.main) console.table(await benchServing());
