import type { Command } from 'commander';
import { layoutOf } from '../../signing/repository/layout.ts';
import { saveChange } from '../../signing/repository/metadata-folder.ts';
import { createKeyOpener, openAllSigners, openOnlineSigners } from '../../signing/repository/open-signers.ts';
import { withRepositoryLock } from '../../signing/repository/repository-lock.ts';
import { refreshRepository, renewRepository } from '../../signing/tuf/write-repository.ts';
import { type CommandContext, createSigningCommand, printResult, type SigningOptions } from './command.ts';
import { openRepository } from './open-repository.ts';
import { readPassphrase } from './passphrase.ts';

interface RefreshOptions extends SigningOptions {
  readonly all?: true;
}

export function createRefreshCommand(context: CommandContext): Command {
  return createSigningCommand('refresh', 'sign snapshot and timestamp again, before they expire')
    .option('--all', 'also root, targets, channels and stage0')
    .action((folder: string, options: RefreshOptions) =>
      withRepositoryLock(layoutOf(folder), () => refresh(context, folder, options)),
    );
}

async function refresh(context: CommandContext, folder: string, options: RefreshOptions): Promise<void> {
  const nowMs = context.clock.nowMs();
  const { layout, stored, current, expiry } = await openRepository(folder, nowMs);
  const keys = createKeyOpener(layout, await readPassphrase(options));
  const channels = current.delegated.flatMap(({ delegation }) =>
    delegation.kind === 'channel' ? [delegation.channel] : [],
  );
  const change = options.all
    ? await renewRepository({ current, expiry, signers: await openAllSigners(keys, channels) })
    : await refreshRepository({ current, expiry, signers: await openOnlineSigners(keys) });
  await saveChange(layout, { stored, change, nowMs });
  const written = change.map(({ name }) => name);
  const expires = new Date(
    options.all ? Math.min(expiry.offlineMs, expiry.onlineMs) : expiry.onlineMs,
  ).toISOString();
  printResult(context, options, {
    lines: [`signed ${written.join(', ')}`, `refresh again before ${expires}`],
    json: { written, expires },
  });
}
