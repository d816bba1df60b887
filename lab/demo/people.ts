import { execFile } from 'node:child_process';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { World } from '../world.ts';

/** Someone who may sign releases, with a key that nobody else has, and the root that they were given once. */
export interface Person {
  readonly name: string;
  /** Where the key is kept. */
  readonly keptIn: 'token' | 'file';
  readonly publicFile: string;
  /** Signs a proposal: in the file. */
  sign(proposal: string): Promise<void>;
}

const run = promisify(execFile);
const MODULE = '/usr/lib/softhsm/libsofthsm2.so';

/** Two keep their keys in PKCS#11 tokens of their own, one in a file under a passphrase. */
export async function createPeople(world: World): Promise<readonly Person[]> {
  const tokens = await createTokenFolder(world.folder);
  // On paper they would compare its SHA-256; nothing else of the repository ever reaches them but proposals.
  const root = join(world.folder, 'root-of-the-people.json');
  await copyFile(join(world.repository, 'metadata', '1.root.json'), root);
  const given = { world, root };
  return [
    await createPersonWithToken(given, tokens, 'alice'),
    await createPersonWithToken(given, tokens, 'bob'),
    await createPersonWithFile(given, 'carol'),
  ];
}

/** What all of them have in common. */
interface Given {
  readonly world: World;
  readonly root: string;
}

interface TokenFolder {
  readonly folder: string;
  /** What SoftHSM finds its tokens by. */
  readonly environment: NodeJS.ProcessEnv;
}

async function createTokenFolder(parent: string): Promise<TokenFolder> {
  const folder = join(parent, 'tokens');
  await mkdir(folder, { mode: 0o700 });
  const configFile = join(folder, 'softhsm2.conf');
  await writeFile(configFile, `directories.tokendir = ${folder}\nlog.level = ERROR\n`);
  return { folder, environment: { ...process.env, SOFTHSM2_CONF: configFile } };
}

/** The key is made outside and moved in, as from a backup: SoftHSM's own tool makes none. */
async function createPersonWithToken(
  { world, root }: Given,
  { folder, environment }: TokenFolder,
  name: string,
): Promise<Person> {
  const pin = '4711';
  const pinFile = join(folder, `${name}.pin`);
  const [keyFile, publicFile] = [join(folder, `${name}.pem`), join(world.folder, `${name}.pub.pem`)];
  await writeFile(pinFile, `${pin}\n`, { mode: 0o600 });
  await run('openssl', [
    'genpkey',
    '-algorithm',
    'EC',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-out',
    keyFile,
  ]);
  await run('openssl', ['pkey', '-in', keyFile, '-pubout', '-out', publicFile]);
  const softhsm = (...args: string[]) => run('softhsm2-util', args, { env: environment });
  await softhsm('--init-token', '--free', '--label', name, '--pin', pin, '--so-pin', `so-${pin}`);
  await softhsm('--import', keyFile, '--token', name, '--label', 'release', '--id', '01', '--pin', pin);
  await rm(keyFile);
  const key = `pkcs11:token=${name};object=release?module-path=${MODULE}`;
  return {
    name,
    keptIn: 'token',
    publicFile,
    sign: (proposal) =>
      world.signProposal(proposal, ['--root', root, '--key', key, '--pin-file', pinFile], environment),
  };
}

async function createPersonWithFile({ world, root }: Given, name: string): Promise<Person> {
  const file = join(world.folder, `${name}.json`);
  await world.signFile('new-key', file, '--key-cost', '12');
  return {
    name,
    keptIn: 'file',
    publicFile: join(world.folder, `${name}.pub.json`),
    sign: (proposal) => world.signProposal(proposal, ['--root', root, '--key', file]),
  };
}
