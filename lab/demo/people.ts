import { join } from 'node:path';
import type { World } from '../world.ts';

/** Someone who may sign releases, with a key that nobody else has. */
export interface Person {
  readonly name: string;
  readonly publicFile: string;
  /** Signs a proposal: in the file. */
  sign(proposal: string): Promise<void>;
}

export async function createPeople(world: World): Promise<readonly Person[]> {
  const names = ['alice', 'bob', 'carol'];
  return Promise.all(names.map((name) => createPersonWithFile(world, name)));
}

async function createPersonWithFile(world: World, name: string): Promise<Person> {
  const file = join(world.folder, `${name}.json`);
  await world.signFile('new-key', file, '--key-cost', '12');
  return {
    name,
    publicFile: join(world.folder, `${name}.pub.json`),
    async sign(proposal) {
      await world.signFile('sign', proposal, '--key', file);
    },
  };
}
