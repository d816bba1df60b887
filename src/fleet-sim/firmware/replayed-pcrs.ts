import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { parseEventLog } from '../../tpm/event-log.ts';
import { replayBank, startValue } from '../../tpm/event-log-replay.ts';
import { SHA256 } from '../chip/software-ak.ts';

/** What a challenge asks for: docs/protocol.md, "Challenge". */
export const POLICY_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];

/** The values that a machine which wrote this log would quote. */
export function pcrsOf(
  log: Uint8Array,
  options: { hash?: HashAlgorithm; pcrs?: readonly number[] } = {},
): Map<number, Uint8Array> {
  const { hash = SHA256, pcrs = POLICY_PCRS } = options;
  const parsed = parseEventLog(log);
  const replayed = replayBank(parsed, hash) ?? new Map<number, Uint8Array>();
  return new Map(pcrs.map((pcr) => [pcr, replayed.get(pcr) ?? startValue({ pcr, hash })]));
}
