import { InvalidArgumentError } from 'commander';
import { toPositiveInteger } from './options.ts';

export const ON_FAILURE = ['reboot', 'halt', 'poweroff'] as const;
export type OnFailure = (typeof ON_FAILURE)[number];

/** What the agent takes as the server's address: no path, no user, nothing that a shell could stumble on. */
const SERVER_URL = /^https:\/\/[A-Za-z0-9.-]+(?::[0-9]{1,5})?$/;

export function toServerUrl(text: string): string {
  if (!SERVER_URL.test(text)) throw new InvalidArgumentError('It is https://HOST or https://HOST:PORT.');
  return text;
}

const SHORTEST_WATCHDOG_SECONDS = 20;
/** What the iTCO of any chipset can count. */
const LONGEST_WATCHDOG_SECONDS = 600;

export function toWatchdogSeconds(text: string): number {
  const seconds = toPositiveInteger(text);
  if (seconds < SHORTEST_WATCHDOG_SECONDS || seconds > LONGEST_WATCHDOG_SECONDS)
    throw new InvalidArgumentError(
      `It is from ${SHORTEST_WATCHDOG_SECONDS} to ${LONGEST_WATCHDOG_SECONDS} seconds.`,
    );
  return seconds;
}

/** /etc/bootward/agent.conf inside stage-0: `key=value` lines, read by agent/lib/config.sh. */
export function encodeAgentConfig(config: {
  serverUrl: string;
  build: number;
  builtAtSeconds: number;
  onFailure: OnFailure;
  watchdogSeconds?: number;
}): string {
  return [
    `server_url=${config.serverUrl}`,
    `stage0_build=${config.build}`,
    `built_at=${config.builtAtSeconds}`,
    `on_failure=${config.onFailure}`,
    ...(config.watchdogSeconds === undefined ? [] : [`watchdog_seconds=${config.watchdogSeconds}`]),
    '',
  ].join('\n');
}
