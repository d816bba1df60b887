import type { Command } from 'commander';
import { DEFAULT_SETTINGS, type RepositorySettings } from '../../signing/repository/settings.ts';
import { toDays } from './options.ts';

/** How long what a new repository signs is good for. */
export interface ExpiryOptions {
  readonly expiresDays: number;
  readonly onlineExpiresDays: number;
}

export function withExpiry(command: Command): Command {
  return command
    .option(
      '--expires-days <N>',
      'how long root, targets, channels and stage0 are good',
      toDays,
      DEFAULT_SETTINGS.offlineDays,
    )
    .option(
      '--online-expires-days <N>',
      'how long snapshot and timestamp are good',
      toDays,
      DEFAULT_SETTINGS.onlineDays,
    );
}

export function settingsOf({ expiresDays, onlineExpiresDays }: ExpiryOptions): RepositorySettings {
  return { offlineDays: expiresDays, onlineDays: onlineExpiresDays };
}
