import { Type } from 'typebox';
import type { OperatorsApp } from '../../doors.ts';
import type { TrustAnchorEntry, TrustAnchorService } from '../../services/trust-anchors.ts';
import { base64, decodeBase64, Sha256Hex } from '../wire.ts';

const closed = { additionalProperties: false };
const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;
const MAX_BODY_BYTES = 2 * MAX_BUNDLE_BYTES;
const Params = Type.Object({ sha256: Sha256Hex }, closed);
const Reason = Type.Optional(Type.String({ maxLength: 500 }));
const RemoveQuery = Type.Object({ reason: Reason }, closed);
const AddBody = Type.Object(
  {
    bundle: base64(MAX_BUNDLE_BYTES),
    acceptUnknown: Type.Boolean(),
    acceptDifferent: Type.Array(Sha256Hex, { maxItems: 1000 }),
    reason: Reason,
  },
  closed,
);

/** The manufacturers whose EK certificates count, changed while the server runs. */
export function registerTrustAnchorRoutes(
  app: OperatorsApp,
  { trustAnchors }: { trustAnchors: TrustAnchorService },
): void {
  app.get('/admin/v1/trust-anchors', async () => ({ trustAnchors: trustAnchors.list().map(describe) }));

  app.post(
    '/admin/v1/trust-anchors',
    { schema: { body: AddBody }, bodyLimit: MAX_BODY_BYTES },
    async ({ body }) => {
      const { added, known } = await trustAnchors.add({
        ...body,
        bundle: decodeBase64('bundle', body.bundle),
      });
      return { added: added.map(describe), known };
    },
  );

  app.delete(
    '/admin/v1/trust-anchors/:sha256',
    { schema: { params: Params, querystring: RemoveQuery } },
    async ({ params, query }) => {
      const { removed, nodesWithoutPath } = await trustAnchors.remove({ ...params, ...query });
      return { removed: describe(removed), nodesWithoutPath };
    },
  );
}

function describe({ endsAtMs, vendor, ...entry }: TrustAnchorEntry) {
  return {
    ...entry,
    vendor: vendor ?? null,
    /** Unix seconds of `notAfter` or `nextUpdate`. */
    endsAt: endsAtMs === undefined ? null : Math.floor(endsAtMs / 1000),
  };
}
