import type { Turn } from './fleet.ts';
import type { Boot } from './machine.ts';

export interface FleetReport {
  /** Machines that had a turn. */
  nodes: number;
  enrolments: number;
  boots: number;
  seconds: number;
  bootsPerSecond: number;
  /** Of one boot, from power-on to its report. */
  bootMilliseconds: { median: number; p99: number };
  downloadedBytes: number;
  /** How boots into each release went. */
  versions: Record<string, Record<'healthy' | 'unhealthy' | 'panicked' | 'hung', number>>;
  /** How the last turn of each machine ended; a refusal by its problem code. */
  endings: Record<string, number>;
  /** Distinct faults with how often each came, and what the server said when it refused. */
  faults: Record<string, number>;
  /** Of the simulation, not of the server. */
  residentMegabytes: number;
}

export function reportOf(turns: readonly Turn[], seconds: number): FleetReport {
  const boots = turns.flatMap((turn) => (turn.kind === 'done' ? turn.powerOn.boots : []));
  const milliseconds = boots.map((boot) => boot.milliseconds).sort((a, b) => a - b);
  const lastTurns = new Map(turns.map((turn) => [turn.machine, turn]));
  return {
    nodes: lastTurns.size,
    enrolments: turns.filter((turn) => turn.kind === 'done' && turn.powerOn.enrolled).length,
    boots: boots.length,
    seconds: round(seconds),
    bootsPerSecond: round(boots.length / seconds),
    bootMilliseconds: { median: quantile(milliseconds, 0.5), p99: quantile(milliseconds, 0.99) },
    downloadedBytes: boots.reduce((sum, boot) => sum + boot.downloadedBytes, 0),
    versions: countVersions(boots),
    endings: count([...lastTurns.values()].map(endingOf)),
    faults: count(turns.flatMap(faultsOf)),
    residentMegabytes: Math.round(process.memoryUsage.rss() / 1e6),
  };
}

function countVersions(boots: readonly Boot[]): FleetReport['versions'] {
  const versions: FleetReport['versions'] = {};
  for (const { version, run } of boots) {
    const counts = versions[version] ?? { healthy: 0, unhealthy: 0, panicked: 0, hung: 0 };
    const how = run.kind === 'reports' ? run.health : run.kind === 'panics' ? 'panicked' : 'hung';
    versions[version] = { ...counts, [how]: counts[how] + 1 };
  }
  return versions;
}

function endingOf(turn: Turn): string {
  if (turn.kind === 'broken') return 'broken';
  const { ending } = turn.powerOn;
  return ending.kind === 'refused' ? `refused: ${ending.code}` : ending.kind;
}

function faultsOf(turn: Turn): string[] {
  if (turn.kind === 'broken') return [turn.fault];
  const { ending } = turn.powerOn;
  return ending.kind === 'refused' ? [`${ending.code}: ${ending.detail}`] : [];
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function quantile(sorted: readonly number[], part: number): number {
  return Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
