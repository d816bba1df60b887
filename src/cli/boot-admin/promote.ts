import type { Command } from 'commander';
import { registerSwitch } from './switch-slots.ts';

export function register(promote: Command): void {
  registerSwitch(promote, 'promote');
}
