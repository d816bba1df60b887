import type { Command } from 'commander';
import { runVerifyEvidence } from '../verify-evidence.ts';

/** Offline. One JSON line a verdict, whatever `--output` says: its readers are programs. */
export function register(verifyEvidence: Command): void {
  verifyEvidence
    .argument('<file>', 'an evidence file, or - for standard input')
    .option('--jsonl', 'one document a line in, one verdict a line out')
    .action(async (file: string, { jsonl = false }: { jsonl?: boolean }) => {
      process.exitCode = await runVerifyEvidence({ file, jsonl });
    });
}
