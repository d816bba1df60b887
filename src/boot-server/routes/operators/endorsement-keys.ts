import { Type } from 'typebox';
import type { AttestationStore } from '../../../attestation/attestation-store.ts';
import { type Clock, secondsOf } from '../../../core/clock.ts';
import type { OperatorsApp } from '../../doors.ts';
import { ChannelName, Sha256Hex } from '../wire.ts';

const closed = { additionalProperties: false };
const MAX_ENTRIES = 10_000;

const ImportBody = Type.Object(
  {
    channel: ChannelName,
    /** Moves keys that are listed for another channel. */
    replace: Type.Optional(Type.Boolean()),
    entries: Type.Array(
      Type.Object({ fingerprint: Sha256Hex, comment: Type.String({ maxLength: 200 }) }, closed),
      { minItems: 1, maxItems: MAX_ENTRIES },
    ),
  },
  closed,
);

/** The admission list: endorsement keys that may enrol by themselves. */
export function registerEndorsementKeyRoutes(
  app: OperatorsApp,
  on: { store: AttestationStore; clock: Clock; maxBodyBytes: number },
): void {
  app.get('/admin/v1/eks', async () => ({ eks: await on.store.listListedEks() }));

  app.post('/admin/v1/eks', { schema: { body: ImportBody }, bodyLimit: on.maxBodyBytes }, async (request) => {
    const { channel, entries, replace = false } = request.body;
    const importedAtSeconds = secondsOf(on.clock);
    const keys = entries.map((entry) => ({ ...entry, channel, importedAtSeconds }));
    return on.store.importListedEks(keys, { replace });
  });
}
