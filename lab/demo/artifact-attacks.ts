import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { sha256, toHex } from '../../src/core/bytes.ts';
import { parseReleaseManifest } from '../../src/signing/manifest.ts';
import { openHostileAgentsDoor, type StolenServer } from '../hostile/agents-door.ts';
import { stealServer } from '../hostile/stolen-server.ts';
import type { Stage, Step } from './step.ts';
import { BANNER, watchUntilOff } from './watch-boot.ts';

/** Attack 3: a taken-over server cannot make a node run what the release keys did not sign. */
export const artifactAttacks: Step = {
  title: 'attack 3: a taken-over server serves an altered kernel; an artifact is altered on disk',
  async run(stage) {
    await serveAlteredKernel(stage);
    await alterArtifactOnDisk(stage);
  },
};

async function serveAlteredKernel(stage: Stage): Promise<void> {
  const { world } = stage;
  const stolen = await withAlteredKernel(stage);
  await world.server().stop();
  const hostile = await openHostileAgentsDoor(stolen);
  const { port } = await stage.openFirmwareDoor();
  const machine = await world.startMachine({ name: 'deceived', tpm: stage.tpms.first, port });
  stage.say('deceived', 'power on: the server holds all our online keys, accepts anything and lies');
  const lines = await watchUntilOff(stage, machine);
  await hostile.close();
  await world.startServer();
  const stop = lines.find((line) => /step=stop code=/.test(line)) ?? 'it did not stop';
  stage.check({
    claim: 'attack 3: an altered kernel of equal length: the node refuses it by its hash',
    ok: /code=artifact-hash-mismatch$/.test(stop) && !lines.some((line) => BANNER.test(line)),
    observed: stop.replace(/^.*step=/, ''),
  });
}

/** Everything the server has, and the kernel with one bit flipped under its old address. */
async function withAlteredKernel({ world, published }: Stage): Promise<StolenServer> {
  const stolen = await stealServer(world, published.release);
  const { kernel } = parseReleaseManifest(
    stolen.artifacts.get(published.release.sha256) ?? new Uint8Array(0),
  );
  const altered = Buffer.from(stolen.artifacts.get(kernel.sha256) ?? new Uint8Array(0));
  const last = altered.length - 1;
  altered[last] = (altered[last] ?? 0) ^ 0x01;
  return { ...stolen, artifacts: new Map([...stolen.artifacts, [kernel.sha256, altered]]) };
}

/** The real server, with a bad disk: what it sends is checked while it is sent. */
async function alterArtifactOnDisk(stage: Stage): Promise<void> {
  const { world, published } = stage;
  const { sha256: name } = published.stage0;
  const file = join(world.dataDir, 'artifacts', name.slice(0, 2), name);
  const whole = await readFile(file);
  const altered = Buffer.from(whole);
  const middle = Math.floor(altered.length / 2);
  altered[middle] = (altered[middle] ?? 0) ^ 0x01;
  await writeFile(file, altered);
  const refused = await fetchStage0(stage);
  await writeFile(file, whole);
  const served = await fetchStage0(stage);
  stage.check({
    claim:
      'attack 3: an artifact altered on disk: the server does not serve it, and does once it is whole again',
    ok:
      refused !== published.stage0.sha256 &&
      /^(status 500|aborted)/.test(refused) &&
      served === published.stage0.sha256,
    observed: `altered: ${refused}; whole: ${served === published.stage0.sha256 ? 'served' : served}`,
  });
}

/** The hash of what arrived whole, or how it failed. */
async function fetchStage0({ world }: Stage): Promise<string> {
  const ca = await readFile(join(world.dataDir, 'tls', 'ca.pem'));
  const { promise, resolve } = Promise.withResolvers<string>();
  const call = request(
    { host: '127.0.0.1', port: world.ports.firmware, path: '/boot/x86-64/stage0.efi', ca },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (error) => resolve(`aborted: ${error.message}`));
      response.on('end', () =>
        resolve(response.statusCode === 200 ? toHex(sha256(...chunks)) : `status ${response.statusCode}`),
      );
    },
  );
  call.on('error', (error) => resolve(`aborted: ${error.message}`));
  call.end();
  return promise;
}
