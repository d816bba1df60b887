import type { Clock } from '../../core/clock.ts';
import { expiryWarnings } from '../../signing/tuf/expiry.ts';
import { type Freshness, freshnessOf, staleWarning } from '../../signing/tuf/freshness.ts';
import type { PolicyService } from './policies.ts';
import type { RepositoryService } from './repository.ts';

export interface ReadinessService {
  /** Sentences for an operator; none when a node that comes now could boot. */
  faults(): Promise<string[]>;
  /** What will keep nodes from booting one day if nobody acts. */
  warnings(): readonly string[];
  /** Undefined until something is published. */
  freshness(): Freshness | undefined;
}

export function createReadinessService(on: {
  repository: RepositoryService;
  policies: Pick<PolicyService, 'listFaults'>;
  grantKeyId: string;
  refreshSeconds: number;
  /** Rejects when the database does not answer. */
  probeDatabase: () => Promise<void>;
  clock: Clock;
}): ReadinessService {
  async function databaseFaults(): Promise<string[]> {
    try {
      await on.probeDatabase();
      return await on.policies.listFaults();
    } catch {
      return ['the database does not answer'];
    }
  }

  function repositoryFaults(): string[] {
    const setBack = on.repository.setBack();
    if (setBack !== undefined) return [setBack];
    const published = on.repository.current();
    if (published === undefined) return ['nothing has been published yet: run "boot-sign publish"'];
    const { verified, faults } = published;
    const expired = [...verified.roles]
      .filter(([, role]) => role.expiresMs <= on.clock.nowMs())
      .map(([name]) => `the metadata of role ${name} has expired: run "boot-sign refresh" and publish`);
    const unnamed = verified.grantKeys.has(on.grantKeyId)
      ? []
      : ['the root metadata does not name the grant key of this server: nodes will refuse its challenges'];
    return [...faults, ...expired, ...unnamed];
  }

  return {
    faults: async () => [...(await databaseFaults()), ...repositoryFaults()],

    warnings() {
      const published = on.repository.current();
      if (published === undefined) return [];
      const nowMs = on.clock.nowMs();
      const stale = staleWarning(freshnessOf(published.verified, nowMs), on.refreshSeconds);
      return [...expiryWarnings(published.verified, nowMs), ...(stale === undefined ? [] : [stale])];
    },

    freshness() {
      const published = on.repository.current();
      return published && freshnessOf(published.verified, on.clock.nowMs());
    },
  };
}
