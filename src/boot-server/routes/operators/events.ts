import { Type } from 'typebox';
import type { EventStore } from '../../../attestation/event-store.ts';
import type { OperatorsApp } from '../../doors.ts';

const DEFAULT_LIMIT = 100;
const Query = Type.Object(
  {
    after: Type.Optional(Type.String({ pattern: '^(?:0|[1-9][0-9]{0,14})$' })),
    limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]{0,2}|1000)$' })),
  },
  { additionalProperties: false },
);

/** What happened, oldest first. */
export function registerEventRoutes(app: OperatorsApp, on: { eventStore: EventStore }): void {
  app.get('/admin/v1/events', { schema: { querystring: Query } }, async (request) => {
    const { after = '0', limit = String(DEFAULT_LIMIT) } = request.query;
    const events = await on.eventStore.listEvents({ afterId: Number(after), limit: Number(limit) });
    return { events: events.map(({ atSeconds, ...event }) => ({ ...event, at: atSeconds })) };
  });
}
