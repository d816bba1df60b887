import { join } from 'node:path';
import { openHostileAgentsDoor } from '../hostile/agents-door.ts';
import { type Forgery, forgeChannel } from '../hostile/forged-channel.ts';
import { stealServer } from '../hostile/stolen-server.ts';
import { type Published, RELEASE_2_NAME, signRelease, type World } from '../world.ts';
import { bootToRelease } from './boots.ts';
import { createPeople, type Person } from './people.ts';
import type { Stage, Step } from './step.ts';
import { bannerOf, watchUntilOff } from './watch-boot.ts';

/** What nobody can do alone: the machine has root 1 baked in, and knows nobody of these people. */
export const thresholdRelease: Step = {
  title: 'release 2: signed by two of three, two of them with keys in HSMs; the root is at version 3 by then',
  async run(stage) {
    const people = await createPeople(stage.world);
    await givePeopleTheChannel(stage, people);
    await rotateRootTwice(stage);
    const release = await releaseByTwo(stage, people);
    const { lines } = await bootToRelease(stage, {
      name: 'machine-1',
      tpm: stage.tpms.first,
      release: RELEASE_2_NAME,
    });
    stage.check({
      claim: 'a stage-0 with root 1 baked in follows the chain to root 3',
      ok: lines.some((line) => /step=root version=3$/.test(line)),
      observed: lines.find((line) => /step=root /.test(line)) ?? 'it said nothing of a root',
    });
    for (const forgery of FORGERIES) await refuseForgery(stage, { forgery, release });
  },
};

/** From here on nobody is alone; the key that signed release 1 signs no more. */
async function givePeopleTheChannel({ world, say }: Stage, people: readonly Person[]): Promise<void> {
  const role = ['--role', 'channel-demo'];
  const [first] = await keysOf(world, 'channel-demo');
  for (const { publicFile } of people) await world.sign('root add-key', ...role, '--key', publicFile);
  await world.sign('root remove-key', ...role, '--key-id', String(first), '--threshold', '2');
  await signPending(world, people.slice(0, 2));
  say(
    'boot-sign',
    `channel demo: 2 of 3 keys, of ${people.map(({ name, keptIn }) => `${name} (${keptIn})`).join(', ')}`,
  );
}

async function rotateRootTwice({ world, say }: Stage): Promise<void> {
  const [first] = await keysOf(world, 'root');
  for (const name of ['root-2', 'root-3'])
    await world.signFile('new-key', join(world.repository, 'keys', `${name}.json`), '--key-cost', '12');
  const publicFile = (name: string) => join(world.repository, 'keys', `${name}.pub.json`);
  await world.sign('root rotate', '--key-id', String(first), '--key', publicFile('root-2'));
  const more = ['--role', 'root', '--key', publicFile('root-3'), '--threshold', '2'];
  await world.sign('root add-key', ...more);
  say('boot-sign', 'root 2 has another key, root 3 wants two');
}

type Release = Published['release'];

async function releaseByTwo({ world, say, check }: Stage, people: readonly Person[]): Promise<Release> {
  const release = await signRelease(world, { version: 2, name: RELEASE_2_NAME });
  const listed = async () => releasesIn(await world.show('verify'));
  const before = await listed();
  await signPending(world, people.slice(0, 1));
  const after = await listed();
  check({
    claim: 'one signature of two lists nothing',
    ok: before === 1 && after === 1,
    observed: `${after} release is listed, as before`,
  });
  await signPending(world, people.slice(1, 2));
  say('boot-sign', `${people[0]?.name} and ${people[1]?.name} have signed release 2`);
  await world.publish();
  return release;
}

/** Takes the one proposal that waits to these people, and their signatures back. */
async function signPending(world: World, people: readonly Person[]): Promise<void> {
  const { pending } = JSON.parse(await world.show('pending list')) as { pending: { name: string }[] };
  const name = String(pending[0]?.name);
  for (const person of people) await person.sign(join(world.repository, 'pending', `${name}.json`));
  await world.sign('merge', '--name', name);
}

async function keysOf(world: World, wanted: string): Promise<readonly string[]> {
  const { roles } = JSON.parse(await world.show('root show')) as {
    roles: { role: string; keys: { keyId: string }[] }[];
  };
  return roles.find(({ role }) => role === wanted)?.keys.map(({ keyId }) => keyId) ?? [];
}

function releasesIn(verified: string): number {
  return (JSON.parse(verified) as { releases: unknown[] }).releases.length;
}

const FORGERIES: readonly Forgery[] = ['one-signature', 'same-key-twice', 'key-of-another-role'];

/** Whoever took the server and all online keys over, and one release key with them, lists the release alone. */
async function refuseForgery(
  stage: Stage,
  { forgery, release }: { forgery: Forgery; release: Release },
): Promise<void> {
  const { world } = stage;
  const stolen = await stealServer(world, release);
  await world.server().stop();
  const metadata = await forgeChannel(world, stolen.metadata, forgery);
  const hostile = await openHostileAgentsDoor({ ...stolen, metadata });
  const { port } = await stage.openFirmwareDoor();
  const machine = await world.startMachine({ name: forgery, tpm: stage.tpms.first, port });
  const lines = await watchUntilOff(stage, machine);
  await hostile.close();
  await world.startServer();
  const stop = lines.find((line) => /step=stop code=/.test(line)) ?? 'it did not stop';
  stage.check({
    claim: `listed by ${forgery.replaceAll('-', ' ')}: the node refuses the channel's metadata`,
    ok:
      /code=metadata-(?:signature|malformed)$/.test(stop) && !lines.some((line) => bannerOf('.*').test(line)),
    observed: stop.replace(/^.*step=/, ''),
  });
}
