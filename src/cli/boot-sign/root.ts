import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { keyIdOf } from '../../signing/public-key.ts';
import { layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata, trustedMetadata } from '../../signing/repository/metadata-folder.ts';
import {
  addGrantKey,
  addKey,
  removeGrantKey,
  removeKey,
  replaceKey,
  setThreshold,
} from '../../signing/tuf/edit-trust.ts';
import { type Trust, trustOf } from '../../signing/tuf/propose.ts';
import { verifyRootChain } from '../../signing/tuf/root.ts';
import { type ChangeOptions, changeTrust } from './change-trust.ts';
import {
  type CommandContext,
  createFolderCommand,
  createSigningCommand,
  type OutputOptions,
  printResult,
} from './command.ts';
import { loadGrantKeys } from './grant-keys.ts';
import { toKeyId, toPositiveInteger } from './options.ts';
import { loadPublicKey } from './public-keys.ts';
import { createRootInitCommand } from './root-init.ts';

interface KeyOptions extends ChangeOptions {
  readonly role: string;
  readonly key: string;
  readonly keyId: string;
  readonly threshold?: number;
}

interface GrantKeyOptions extends ChangeOptions {
  readonly add?: string;
  readonly remove?: string;
}

interface VerifyOptions extends OutputOptions {
  readonly root?: string;
}

export function createRootCommand(context: CommandContext): Command {
  const root = new Command('root').description('who may sign what: keys, thresholds, grant keys');
  for (const create of [
    createRootInitCommand,
    createShowCommand,
    createVerifyChainCommand,
    createAddKeyCommand,
    createRemoveKeyCommand,
    createRotateCommand,
    createThresholdCommand,
    createGrantKeyCommand,
  ])
    root.addCommand(create(context));
  return root;
}

function createShowCommand(context: CommandContext): Command {
  return createFolderCommand('show', 'every role, its keys and its threshold').action(
    (folder: string, options: OutputOptions) => show(context, folder, options),
  );
}

function createVerifyChainCommand(context: CommandContext): Command {
  const what = 'follow the chain of roots, each signed by the one before and by its own';
  return createFolderCommand('verify', what)
    .option('--root <FILE>', 'root metadata that you trust; 1.root.json of the folder unless told')
    .action((folder: string, options: VerifyOptions) => verify(context, folder, options));
}

function createAddKeyCommand(context: CommandContext): Command {
  return createTrustCommand('add-key', 'let one more key sign for a role')
    .requiredOption('--role <NAME>', 'root, targets, snapshot, timestamp, stage0, channel-<name>')
    .requiredOption('--key <FILE>', 'its public half: PEM, TUF JSON, or a key file of ours')
    .option('--threshold <N>', 'how many of its keys must sign from now on', toPositiveInteger)
    .action(async (folder: string, options: KeyOptions) => {
      const key = await loadPublicKey(options.key);
      const edit = (trust: Trust) => withThreshold(addKey(trust, options.role, key), options);
      return changeTrust(context, { folder, options, edit });
    });
}

function createRemoveKeyCommand(context: CommandContext): Command {
  return createTrustCommand('remove-key', 'let a key sign for a role no longer')
    .requiredOption('--role <NAME>', 'the role')
    .requiredOption('--key-id <ID>', 'its key id, or the beginning of it', toKeyId)
    .option('--threshold <N>', 'how many of its keys must sign from now on', toPositiveInteger)
    .action((folder: string, options: KeyOptions) => {
      const edit = (trust: Trust) => withThreshold(removeKey(trust, options.role, options.keyId), options);
      return changeTrust(context, { folder, options, edit });
    });
}

function createRotateCommand(context: CommandContext): Command {
  return createTrustCommand('rotate', 'put another key in the place of one that is old, lost or stolen')
    .requiredOption('--key-id <ID>', "the old key's id, or the beginning of it", toKeyId)
    .requiredOption('--key <FILE>', "the new key's public half")
    .action(async (folder: string, options: KeyOptions) => {
      const key = await loadPublicKey(options.key);
      const edit = (trust: Trust) => replaceKey(trust, options.keyId, key);
      return changeTrust(context, { folder, options, edit });
    });
}

function createThresholdCommand(context: CommandContext): Command {
  return createTrustCommand('threshold', 'how many keys of a role must sign')
    .requiredOption('--role <NAME>', 'the role')
    .requiredOption('--threshold <N>', 'how many', toPositiveInteger)
    .action((folder: string, options: KeyOptions) =>
      changeTrust(context, { folder, options, edit: (trust) => withThreshold(trust, options) }),
    );
}

function createGrantKeyCommand(context: CommandContext): Command {
  return createTrustCommand(
    'grant-key',
    'whose challenges nodes answer: add the key of a boot server, or remove one',
  )
    .option('--add <FILE>', 'as `boot-admin grant-key` prints it, or PEM')
    .option('--remove <ID>', 'its key id, or the beginning of it', toKeyId)
    .action(async (folder: string, options: GrantKeyOptions) => {
      const added = options.add === undefined ? [] : await loadGrantKeys(options.add);
      const edit = (trust: Trust) => {
        const more = added.reduce(addGrantKey, trust);
        return options.remove === undefined ? more : removeGrantKey(more, options.remove);
      };
      return changeTrust(context, { folder, options, edit });
    });
}

function createTrustCommand(name: string, description: string): Command {
  return createSigningCommand(name, description).option('--dry-run', 'say what would change; sign nothing');
}

function withThreshold(trust: Trust, { role, threshold }: KeyOptions): Trust {
  return threshold === undefined ? trust : setThreshold(trust, role, threshold);
}

async function show(context: CommandContext, folder: string, options: OutputOptions): Promise<void> {
  const current = trustedMetadata(await loadMetadata(layoutOf(folder)));
  const { keyrings, grantKeys } = trustOf(current);
  const roles = [...keyrings].map(([role, { keys, threshold }]) => ({
    role,
    threshold,
    keys: keys.map((key) => ({ keyId: keyIdOf(key), scheme: key.scheme })),
  }));
  const expires = new Date(current.root.expiresMs).toISOString();
  await printResult(context, options, {
    lines: [
      `root version ${current.root.version}, good until ${expires}`,
      ...roles.flatMap(({ role, threshold, keys }) => [
        `${role}: ${threshold} of ${keys.length}`,
        ...keys.map(({ keyId, scheme }) => `  ${keyId} ${scheme}`),
      ]),
      'grant keys',
      ...grantKeys.map((key) => `  ${keyIdOf(key)}`),
    ],
    json: { version: current.root.version, expires, roles, grantKeys: grantKeys.map(keyIdOf) },
  });
}

async function verify(context: CommandContext, folder: string, options: VerifyOptions): Promise<void> {
  const { files, trustedRoot } = await loadMetadata(layoutOf(folder));
  const start = options.root === undefined ? trustedRoot : await readFile(options.root);
  const versions = verifyRootChain(start, files).map(({ version }) => version);
  await printResult(context, options, {
    lines: [`good: root ${versions.join(', ')}`],
    json: { versions },
  });
}
