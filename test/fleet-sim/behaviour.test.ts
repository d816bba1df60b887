import { expect, test } from 'vitest';
import { type Behaviour, mixBehaviours, runOf } from '../../src/fleet-sim/behaviour.ts';

const WELL = { kind: 'reports', health: 'healthy', afterSeconds: 0 };

test('a machine is unwell on the releases that are bad for it, and on no other', () => {
  const bad: Behaviour = { kind: 'bad-on', versions: [2, 5], way: 'comes-back' };
  const runs = [1, 2, 3, 5].map((version) => runOf(bad, version));
  expect(runs).toEqual([WELL, { kind: 'panics' }, WELL, { kind: 'panics' }]);
});

test('each bad way is another run', () => {
  const runs = (['comes-back', 'unhealthy', 'silent'] as const).map((way) =>
    runOf({ kind: 'bad-on', versions: [2], way }, 2),
  );
  expect(runs).toEqual([
    { kind: 'panics' },
    { kind: 'reports', health: 'unhealthy', afterSeconds: 0 },
    { kind: 'hangs' },
  ]);
});

test('a slow machine reports late', () => {
  expect(runOf({ kind: 'slow', seconds: 7 }, 1)).toEqual({ ...WELL, afterSeconds: 7 });
});

test('a mixture has so many of each, bad ones in each way by turns, and the rest is healthy', () => {
  const behaviours = mixBehaviours({
    nodes: 8,
    bad: { nodes: 3, versions: [2], ways: ['silent', 'unhealthy'] },
    offline: 1,
    slow: { nodes: 2, seconds: 4 },
  });
  expect(behaviours.map(({ kind }) => kind)).toEqual([
    ...['bad-on', 'bad-on', 'bad-on', 'offline', 'slow', 'slow', 'healthy', 'healthy'],
  ]);
  const ways = behaviours.flatMap((behaviour) => (behaviour.kind === 'bad-on' ? [behaviour.way] : []));
  expect(ways).toEqual(['silent', 'unhealthy', 'silent']);
});
