import { type Profiler, Session } from 'node:inspector';

/** Tells which inputs reach code that none before them reached. */
export interface CoverageFeedback {
  /** What ran since it was asked last and never before; undefined when there is nothing. */
  newlyReached(): Novelty | undefined;
  /** It is new no more. */
  keep(novelty: Novelty): void;
  stop(): void;
}

/** Functions with a block that ran for the first time. */
export type Novelty = readonly (readonly [string, Function])[];

type Function = Profiler.FunctionCoverage;

const SOURCES = new URL('../../src/', import.meta.url).href;

/**
 * V8's own block coverage, in this thread. Not for use under a test runner, whose coverage it would take
 * away: counters are one set for the whole isolate.
 */
export function startCoverage(): CoverageFeedback {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  /** By function: the blocks that have been seen not to run, and never to run yet. */
  const frontier = new Map<string, ReadonlySet<number>>();
  return {
    newlyReached: () => {
      const moved = ranFunctions(session).filter(([key, fn]) => isBeyond(frontier.get(key), fn));
      return moved.length > 0 ? moved : undefined;
    },
    keep: (novelty) => {
      for (const [key, fn] of novelty) frontier.set(key, idleBlocks(fn, frontier.get(key)));
    },
    stop: () => {
      session.post('Profiler.stopPreciseCoverage');
      session.disconnect();
    },
  };
}

/** A function that never ran, or a block of it that never did. */
function isBeyond(known: ReadonlySet<number> | undefined, fn: Function): boolean {
  return known === undefined || [...known].some((offset) => countAt(fn, offset) > 0);
}

/** What still never ran: a block that ran once stays out, even when it does not run this time. */
function idleBlocks(fn: Function, known: ReadonlySet<number> | undefined): Set<number> {
  const idle = fn.ranges.filter(({ count }) => count === 0).map(({ startOffset }) => startOffset);
  if (known === undefined) return new Set(idle);
  return new Set([...known].filter((offset) => countAt(fn, offset) === 0));
}

/** Ranges nest, outer ones first: the last that holds the offset decides. */
function countAt(fn: Function, offset: number): number {
  const holding = fn.ranges.filter(
    ({ startOffset, endOffset }) => startOffset <= offset && offset < endOffset,
  );
  return holding.at(-1)?.count ?? 0;
}

function ranFunctions(session: Session): [string, Function][] {
  return takeCoverage(session)
    .filter(({ url }) => url.startsWith(SOURCES))
    .flatMap(({ url, functions }) =>
      functions
        .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
        .map((fn): [string, Function] => [`${url}:${fn.ranges[0]?.startOffset}`, fn]),
    );
}

/** In one's own thread the answer is there before `post` returns. */
function takeCoverage(session: Session): Profiler.ScriptCoverage[] {
  let scripts: Profiler.ScriptCoverage[] = [];
  session.post('Profiler.takePreciseCoverage', (error, { result }) => {
    if (error !== null) throw error;
    scripts = result;
  });
  return scripts;
}
