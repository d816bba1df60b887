import { collectDefaultMetrics, type OpenMetricsContentType, Registry } from 'prom-client';

export type MetricsRegistry = Registry<OpenMetricsContentType>;

/** Of one server alone: several may run in one process. */
export function createRegistry(): MetricsRegistry {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return registry;
}

/** CPU, memory, files, event loop, garbage collection. It watches until the process ends: once in a process. */
export function watchProcess(registry: MetricsRegistry): void {
  collectDefaultMetrics({ register: registry as unknown as Registry });
}
