import { createMeters, type Meters } from './meters.ts';
import { createRegistry, type MetricsRegistry, watchProcess } from './registry.ts';

export interface Metrics {
  readonly registry: MetricsRegistry;
  readonly meters: Meters;
}

/** @param ofProcess figures of the process too: for the one server of a program */
export function createMetrics({ ofProcess }: { ofProcess: boolean }): Metrics {
  const registry = createRegistry();
  if (ofProcess) watchProcess(registry);
  return { registry, meters: createMeters(registry) };
}
