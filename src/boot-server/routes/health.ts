import type { AgentsApp, OperatorsApp } from '../doors.ts';
import { Problem } from '../problems.ts';
import type { ReadinessService } from '../services/readiness.ts';

/** `healthz`: the process answers. `readyz`: a node that comes now could boot. */
export function registerHealthRoutes(
  app: AgentsApp | OperatorsApp,
  on: { readiness: ReadinessService },
): void {
  const host = app as OperatorsApp;
  host.get('/healthz', async () => ({ status: 'ok' }));
  host.get('/readyz', async () => {
    const faults = await on.readiness.faults();
    const metadata = on.readiness.freshness();
    if (faults.length > 0)
      throw new Problem('not-ready', faults.join('; '), {
        members: { faults, ...(metadata && { metadata }) },
        headers: { 'retry-after': '10' },
      });
    return { status: 'ready', warnings: on.readiness.warnings(), ...(metadata && { metadata }) };
  });
}
