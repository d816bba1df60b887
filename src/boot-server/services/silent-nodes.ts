import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { RunningNodeStore } from '../../attestation/running-nodes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { Logger } from '../logger.ts';
import type { PolicyService } from './policies.ts';
import type { RepositoryService } from './repository.ts';

/** In one round; what is left has its turn in the next. */
const MAX_PER_CHANNEL = 1000;

/**
 * Makes suspect what runs a release and has not proven itself within its policy's deadline. Nobody owes evidence from
 * before the policy asked for it, or from while this server did not answer: it did not run, or its database was set back.
 */
export async function suspectSilentNodes(on: {
  runningNodes: RunningNodeStore;
  policies: Pick<PolicyService, 'listDeadlines'>;
  repository: Pick<RepositoryService, 'setBack'>;
  answersSinceSeconds: number;
  clock: Clock;
  logger: Logger;
}): Promise<void> {
  if (on.repository.setBack() !== undefined) return;
  const nowSeconds = secondsOf(on.clock);
  for (const { channel, seconds, appliedAtSeconds } of await on.policies.listDeadlines()) {
    const provenBeforeSeconds = nowSeconds - seconds;
    if (Math.max(appliedAtSeconds, on.answersSinceSeconds) >= provenBeforeSeconds) continue;
    const silent = await on.runningNodes.listSilent({ channel, provenBeforeSeconds, limit: MAX_PER_CHANNEL });
    for (const nodeId of silent) {
      const suspicion = {
        sinceSeconds: nowSeconds,
        reason: `silent: its policy wants evidence every ${seconds} seconds at the latest`,
      };
      const outcome = await on.runningNodes.suspectSilent({ nodeId, provenBeforeSeconds, suspicion });
      if (outcome === 'changed') on.logger.warn({ nodeId }, 'a node fell silent and is suspect');
      await yieldToOthers();
    }
  }
}
