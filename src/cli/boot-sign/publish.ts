import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import { artifactFile, layoutOf } from '../../signing/repository/layout.ts';
import { loadMetadata, type StoredMetadata } from '../../signing/repository/metadata-folder.ts';
import type { VerifiedRepository } from '../../signing/tuf/verify-repository.ts';
import { type CommandContext, createFolderCommand, type OutputOptions, printResult } from './command.ts';
import { createOperatorDoor } from './operator-door.ts';
import { withProgress } from './progress.ts';
import { verifyFolder } from './verify-folder.ts';

interface PublishOptions extends OutputOptions {
  readonly socket: string;
}

export function createPublishCommand(context: CommandContext): Command {
  return createFolderCommand('publish', 'hand the repository to a boot server; it verifies everything itself')
    .requiredOption('--socket <PATH>', "the boot server's operators' socket")
    .action((folder: string, options: PublishOptions) => publish(context, folder, options));
}

/**
 * Artifacts first, metadata last: a publication that is cut short changes nothing that is served, and the
 * next one sends only what is missing.
 */
async function publish(context: CommandContext, folder: string, options: PublishOptions): Promise<void> {
  const layout = layoutOf(folder);
  const stored = await loadMetadata(layout);
  const { repository, artifacts } = await verifyFolder({ layout, stored, nowMs: context.clock.nowMs() });
  const door = createOperatorDoor(options.socket);
  const uploaded: string[] = [];
  for (const [sha256, length] of artifacts) {
    if (await door.hasArtifact(sha256)) continue;
    const shown = { title: `sending ${sha256.slice(0, 12)}`, totalBytes: length };
    const contents = withProgress(context, shown, createReadStream(artifactFile(layout, sha256)));
    await door.putArtifact({ sha256, length }, contents);
    uploaded.push(sha256);
  }
  const answer = await door.postMetadata(filesToSend(stored, repository));
  await printResult(context, options, {
    lines: [
      `${uploaded.length} artifacts sent, ${artifacts.size - uploaded.length} were there already`,
      `served now: ${[...repository.roles].map(([role, { version }]) => `${role} ${version}`).join(', ')}`,
      ...(answer.grantKeyNamed === false
        ? ["warning: this root does not name the server's grant key: nodes will refuse its challenges"]
        : []),
    ],
    json: { uploaded, artifacts: artifacts.size, answer },
  });
}

function filesToSend(
  { files }: StoredMetadata,
  repository: VerifiedRepository,
): ReadonlyMap<string, Uint8Array> {
  const needed = new Set(repository.files);
  return new Map([...files].filter(([name]) => needed.has(name)));
}
