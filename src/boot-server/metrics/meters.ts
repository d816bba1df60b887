import { Counter, Histogram } from 'prom-client';
import type { MetricsRegistry } from './registry.ts';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type Meters = ReturnType<typeof createMeters>;

/** What is counted as it happens, from the start of the server on. Labels are words of ours, never of a client. */
export function createMeters(registry: MetricsRegistry) {
  const registers = [registry];
  return {
    verdicts: new Counter({
      name: 'bootward_verdicts_total',
      help: 'Verdicts on evidence.',
      labelNames: ['purpose', 'verdict'],
      registers,
    }),
    reasons: new Counter({
      name: 'bootward_verdict_reasons_total',
      help: 'Reasons of verdicts by code; one verdict may have several. docs/reasons.md explains the codes.',
      labelNames: ['code'],
      registers,
    }),
    boots: new Counter({
      name: 'bootward_boots_total',
      help: 'Boots by what was booked of them: granted, then healthy, failed, or left for another release.',
      labelNames: ['outcome'],
      registers,
    }),
    verification: new Histogram({
      name: 'bootward_evidence_verification_seconds',
      help: 'Time to decide on evidence, waiting for a thread included.',
      buckets: SECONDS,
      registers,
    }),
    sentBytes: new Counter({
      name: 'bootward_artifact_sent_bytes_total',
      help: 'Bytes of artifacts and stage-0 handed to connections.',
      registers,
    }),
  };
}
