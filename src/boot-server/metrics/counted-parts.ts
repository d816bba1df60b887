import type { AttestationStore, VerdictRecord } from '../../attestation/attestation-store.ts';
import { REASONS } from '../../attestation/reasons.ts';
import type { ChannelStore } from '../../releases/channel-store.ts';
import type { BootAttempt, NodeHistory, NodeRelease } from '../../releases/node-releases.ts';
import type { Verification } from '../verification/verification.ts';
import type { Meters } from './meters.ts';

/** The same store; verdicts are counted when they are durable. */
export function countVerdicts(
  store: AttestationStore,
  { verdicts, reasons }: Pick<Meters, 'verdicts' | 'reasons'>,
): AttestationStore {
  function count(verdict: VerdictRecord): void {
    verdicts.inc({ purpose: verdict.purpose, verdict: verdict.verdict });
    for (const { code } of verdict.reasons)
      reasons.inc({ code: Object.hasOwn(REASONS, code) ? code : 'other' });
  }
  return {
    ...store,
    async commitActivation(activation) {
      const outcome = await store.commitActivation(activation);
      if (outcome === 'committed') count(activation.verdict);
      return outcome;
    },
    async commitVerdict(commit) {
      const outcome = await store.commitVerdict(commit);
      if (outcome === 'committed') count(commit.verdict);
      return outcome;
    },
    async recordRefusal(verdict) {
      await store.recordRefusal(verdict);
      count(verdict);
    },
  };
}

const OUTCOMES: Readonly<Record<BootAttempt['outcome'], string>> = {
  open: 'granted',
  healthy: 'healthy',
  failed: 'failed',
  left: 'left',
};

/** The same store; what is booked of boots is counted when it is durable. */
export function countBoots(store: ChannelStore, { boots }: Pick<Meters, 'boots'>): ChannelStore {
  for (const outcome of Object.values(OUTCOMES)) boots.inc({ outcome }, 0);
  return {
    ...store,
    async saveHistory(change) {
      const saved = await store.saveHistory(change);
      if (saved === 'saved')
        for (const { lastBoot } of bookedBetween(change.before, change.after))
          boots.inc({ outcome: OUTCOMES[lastBoot.outcome] });
      return saved;
    },
  };
}

function bookedBetween(before: NodeHistory, after: NodeHistory): NodeRelease[] {
  return [...after.releases.values()].filter(({ releaseDigest, lastBoot }) => {
    const former = before.releases.get(releaseDigest)?.lastBoot;
    return (
      former?.outcome !== lastBoot.outcome ||
      former.resetCount !== lastBoot.resetCount ||
      former.restartCount !== lastBoot.restartCount
    );
  });
}

/** The same verification, timed by a clock that nobody sets: one that throws is timed like any other. */
export function timeVerification(
  verification: Verification,
  { verification: histogram }: Pick<Meters, 'verification'>,
): Verification {
  return {
    async appraise(input) {
      const stop = histogram.startTimer();
      try {
        return await verification.appraise(input);
      } finally {
        stop();
      }
    },
    stop: () => verification.stop(),
  };
}
