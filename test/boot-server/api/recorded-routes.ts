import { subscribe, unsubscribe } from 'node:diagnostics_channel';

type DoorName = 'firmware' | 'agents' | 'operators';

/** As composed: every server opens its doors in this order. */
const DOORS: readonly DoorName[] = ['firmware', 'agents', 'operators'];

interface FastifyLike {
  addHook(name: 'onRoute', hook: (route: { method: string | string[]; url: string }) => void): void;
}

/**
 * Every route that servers register while `work` runs, as `agents POST /v1/challenges`: taken from the
 * framework itself, so that none is forgotten.
 */
export async function recordRoutes<T>(
  work: () => Promise<T>,
): Promise<{ result: T; routes: ReadonlySet<string> }> {
  const routes = new Set<string>();
  let doors = 0;
  const onInstance = (message: unknown): void => {
    const door = DOORS[doors % DOORS.length];
    doors += 1;
    (message as { fastify: FastifyLike }).fastify.addHook('onRoute', ({ method, url }) => {
      for (const name of [method].flat()) routes.add(`${door} ${name} ${url}`);
    });
  };
  subscribe('fastify.initialization', onInstance);
  try {
    return { result: await work(), routes };
  } finally {
    unsubscribe('fastify.initialization', onInstance);
  }
}
