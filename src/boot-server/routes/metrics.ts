import type { OperatorsApp } from '../doors.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import { createStateGauges, type StateSource } from '../metrics/state-gauges.ts';

/** Figures in the OpenMetrics text format 1.0.0; no name of a node is in them. */
export function registerMetricsRoute(
  apps: readonly OperatorsApp[],
  on: StateSource & { registry: MetricsRegistry },
): void {
  const refresh = createStateGauges(on.registry, on);
  for (const app of apps)
    app.get('/metrics', async (_request, reply) => {
      await refresh();
      return reply.type(on.registry.contentType).send(await on.registry.metrics());
    });
}
