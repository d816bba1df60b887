import type { Command } from 'commander';
import { registerSwitch } from './switch-slots.ts';

export function register(rollback: Command): void {
  registerSwitch(rollback, 'rollback');
}
