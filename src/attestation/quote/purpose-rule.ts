import { bytesEqual, sha256 } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { Finding } from '../reasons.ts';
import type { Purpose } from './purpose.ts';
import type { VerifiedQuote } from './quote.ts';

/** The boot that running evidence belongs to: what was granted then, and the TPM's power cycle. */
export interface BootSession {
  /** SHA-256 of the release manifest. */
  releaseDigest: Uint8Array;
  resetCount: number;
  restartCount: number;
}

/** Stage-0 extends it once, just before it hands over (docs/protocol.md, "Evidence"). */
export const HANDOVER_PCR = 14;

const BEFORE_HANDOVER = new Uint8Array(32);

/**
 * Root in the running system holds the same AK as stage-0 did; PCR 14 tells the two apart (P1–P4). `enrol`
 * and `boot` come before the hand-over, `health` and `reattest` after it, in the same power cycle.
 */
export function checkPurpose(
  quote: VerifiedQuote,
  purpose: Purpose | undefined,
  session: BootSession | undefined,
): Finding[] {
  if (purpose === undefined) return [];
  const value = quote.pcrs.get(HANDOVER_PCR);
  if (value === undefined)
    return [
      {
        code: 'selection-incomplete',
        message: `quote: for purpose ${purpose} it must cover PCR ${HANDOVER_PCR}, and does not`,
      },
    ];
  switch (purpose) {
    case 'enrol':
    case 'boot':
      return checkBeforeHandover(value, purpose);
    case 'health':
    case 'reattest':
      return checkAfterHandover({ quote, value, purpose, session });
  }
}

function checkBeforeHandover(value: Uint8Array, purpose: Purpose): Finding[] {
  if (value.every((byte) => byte === 0)) return [];
  return [
    {
      code: 'pcr14-not-zero',
      message: `PCR 14: expected zero for purpose ${purpose}, it is ${shortHex(value)}: this is not stage-0 before its hand-over`,
    },
  ];
}

function checkAfterHandover(given: {
  quote: VerifiedQuote;
  value: Uint8Array;
  purpose: Purpose;
  session: BootSession | undefined;
}): Finding[] {
  const { quote, value, purpose, session } = given;
  if (session === undefined)
    return [
      { code: 'session-missing', message: `purpose ${purpose}: there is no boot session it could belong to` },
    ];
  const findings: Finding[] = [];
  const expected = sha256(BEFORE_HANDOVER, session.releaseDigest);
  if (!bytesEqual(value, expected))
    findings.push({
      code: 'pcr14-not-release',
      message: `PCR 14: expected ${shortHex(expected)}, one extend of release ${shortHex(session.releaseDigest)}, it is ${shortHex(value)}`,
    });
  const { resetCount, restartCount } = quote.counters;
  if (resetCount !== session.resetCount || restartCount !== session.restartCount)
    findings.push({
      code: 'session-mismatch',
      message: `TPM counters are (${resetCount}, ${restartCount}), at boot they were (${session.resetCount}, ${session.restartCount})`,
    });
  return findings;
}
