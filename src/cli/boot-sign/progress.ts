import type { CommandContext } from './command.ts';

const BAR_WIDTH = 30;
const MIN_INTERVAL_MS = 100;

/**
 * The same bytes, with a bar on standard error while they pass; for a person who watches, so without one
 * when standard error is no terminal.
 */
export async function* withProgress(
  { stderr, clock }: CommandContext,
  { title, totalBytes }: { title: string; totalBytes: number },
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const isTerminal = 'isTTY' in stderr && stderr.isTTY === true;
  const draw = (passed: number, end: string): void => {
    if (isTerminal) stderr.write(`\r${title} ${barOf(passed / Math.max(totalBytes, 1))}${end}`);
  };
  let passed = 0;
  let drawnAtMs = 0;
  for await (const chunk of source) {
    yield chunk;
    passed += chunk.length;
    const nowMs = clock.nowMs();
    if (nowMs - drawnAtMs < MIN_INTERVAL_MS) continue;
    drawnAtMs = nowMs;
    draw(passed, '');
  }
  draw(passed, '\n');
}

function barOf(share: number): string {
  const bar = '#'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  return `[${bar}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}
