import type { TpmCounters } from '../node.ts';
import type { Finding } from '../reasons.ts';
import type { VerifiedQuote } from './quote.ts';

/**
 * (resetCount, restartCount) never falls, compared lexicographically; the clock only counts within one such
 * pair, for a power cut may set it back (Part 1, section 36). What fell is a clone, a restored state or a
 * cleared TPM: an operator decides (E26).
 */
export function checkCounters(quote: VerifiedQuote, previous: TpmCounters | undefined): Finding[] {
  return [...clockNotes(quote), ...(previous === undefined ? [] : compareCounters(quote.counters, previous))];
}

function clockNotes({ clockIsSafe }: VerifiedQuote): Finding[] {
  if (clockIsSafe) return [];
  return [{ code: 'clock-not-safe', message: 'TPM clock: it may have run back after an unorderly shutdown' }];
}

function compareCounters(now: TpmCounters, before: TpmCounters): Finding[] {
  const findings: Finding[] = [];
  const order = now.resetCount - before.resetCount || now.restartCount - before.restartCount;
  if (order < 0)
    findings.push({
      code: 'counters-went-back',
      message: `TPM counters: (${now.resetCount}, ${now.restartCount}), expected (${before.resetCount}, ${before.restartCount}) as before, or higher`,
    });
  if (order === 0 && now.clock < before.clock)
    findings.push({
      code: 'clock-went-back',
      message: `TPM clock: ${now.clock} ms, expected ${before.clock} ms as before, or more`,
    });
  if (now.firmwareVersion !== before.firmwareVersion)
    findings.push({
      code: 'firmware-version-changed',
      message: `TPM firmware: version 0x${now.firmwareVersion.toString(16)}, expected 0x${before.firmwareVersion.toString(16)} as before`,
    });
  return findings;
}
