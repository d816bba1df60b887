import type { Command } from 'commander';
import { call } from './operators-client.ts';
import { memberOf, type Options, printSentence } from './output.ts';
import { printable } from './table.ts';

export function register(artifacts: Command): void {
  artifacts
    .command('remove-unused')
    .option('--dry-run', 'count them, remove nothing')
    .description(
      'remove what no listed release, slot, pinned node or open grant needs; the server does so every hour',
    )
    .action((_options, command: Command) => removeUnused(command.optsWithGlobals()));
}

async function removeUnused(options: Options & { dryRun?: true }): Promise<void> {
  const dryRun = options.dryRun === true;
  const path = '/admin/v1/artifacts/remove-unused';
  const removed = await call(options, { method: 'POST', path, body: { dryRun } });
  const [count, bytes] = ['count', 'bytes'].map((member) => printable(memberOf(removed, member)));
  await printSentence(
    options,
    `${dryRun ? 'would remove' : 'removed'} ${count} artifacts, ${bytes} bytes`,
    removed,
  );
}
