/** How a machine fares with a release that is bad for it. */
export const BAD_WAYS = ['comes-back', 'unhealthy', 'silent'] as const;

/**
 * `comes-back`: it panics and is started again. `unhealthy`: its own checks fail, it says so and starts again.
 * `silent`: it hangs until somebody switches it off and on.
 */
export type BadWay = (typeof BAD_WAYS)[number];

/** What a machine is like, as data. */
export type Behaviour =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'bad-on'; readonly versions: readonly number[]; readonly way: BadWay }
  /** Its health report comes this long after the hand-over. */
  | { readonly kind: 'slow'; readonly seconds: number }
  /** Nobody switches it on. */
  | { readonly kind: 'offline' };

/** What a system does once a release runs on it. */
export type Run =
  | { readonly kind: 'reports'; readonly health: 'healthy' | 'unhealthy'; readonly afterSeconds: number }
  | { readonly kind: 'panics' }
  | { readonly kind: 'hangs' };

export function isBadOn(behaviour: Behaviour, version: number): boolean {
  return behaviour.kind === 'bad-on' && behaviour.versions.includes(version);
}

export function runOf(behaviour: Behaviour, version: number): Run {
  if (behaviour.kind !== 'bad-on' || !isBadOn(behaviour, version))
    return {
      kind: 'reports',
      health: 'healthy',
      afterSeconds: behaviour.kind === 'slow' ? behaviour.seconds : 0,
    };
  switch (behaviour.way) {
    case 'comes-back':
      return { kind: 'panics' };
    case 'unhealthy':
      return { kind: 'reports', health: 'unhealthy', afterSeconds: 0 };
    case 'silent':
      return { kind: 'hangs' };
  }
}

/** Who is what in a fleet: the bad ones first, by turns in each way, then offline, then slow, then healthy. */
export interface Mixture {
  readonly nodes: number;
  readonly bad?: {
    readonly nodes: number;
    readonly versions: readonly number[];
    readonly ways: readonly BadWay[];
  };
  readonly offline?: number;
  readonly slow?: { readonly nodes: number; readonly seconds: number };
}

export function mixBehaviours({ nodes, bad, offline = 0, slow }: Mixture): Behaviour[] {
  const ways = bad?.ways ?? [];
  const special: Behaviour[] = [
    ...Array.from({ length: bad?.nodes ?? 0 }, (_, index): Behaviour => {
      const way = ways[index % ways.length] ?? 'comes-back';
      return { kind: 'bad-on', versions: bad?.versions ?? [], way };
    }),
    ...Array.from({ length: offline }, (): Behaviour => ({ kind: 'offline' })),
    ...Array.from(
      { length: slow?.nodes ?? 0 },
      (): Behaviour => ({
        kind: 'slow',
        seconds: slow?.seconds ?? 0,
      }),
    ),
  ];
  return Array.from({ length: nodes }, (_, index) => special[index] ?? { kind: 'healthy' });
}
