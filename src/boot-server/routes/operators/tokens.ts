import { Type } from 'typebox';
import type { EnrolmentToken, EnrolmentTokenStore } from '../../../attestation/enrolment-tokens.ts';
import { type Clock, secondsOf } from '../../../core/clock.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import type { EnrolmentTokenService } from '../../services/enrolment-tokens.ts';
import { ChannelName } from '../wire.ts';

const closed = { additionalProperties: false };
const ID_DIGITS = 16;
const MIN_VALID_SECONDS = 60;
const MAX_VALID_SECONDS = 365 * 86_400;

const CreateBody = Type.Object(
  {
    channel: ChannelName,
    validSeconds: Type.Integer({ minimum: MIN_VALID_SECONDS, maximum: MAX_VALID_SECONDS }),
    comment: Type.String({ maxLength: 200 }),
  },
  closed,
);
const Params = Type.Object({ id: Type.String({ pattern: `^[0-9a-f]{${ID_DIGITS}}$` }) }, closed);

/** Single-use permissions to enrol. A token is named by the first digits of its hash, which admit nobody. */
export function registerTokenRoutes(
  app: OperatorsApp,
  on: { tokens: EnrolmentTokenService; tokenStore: EnrolmentTokenStore; clock: Clock },
): void {
  app.get('/admin/v1/tokens', async () => {
    const nowSeconds = secondsOf(on.clock);
    return { tokens: (await on.tokenStore.listTokens()).map((token) => describeToken(token, nowSeconds)) };
  });

  app.post('/admin/v1/tokens', { schema: { body: CreateBody } }, async (request, reply) => {
    const { text, token } = await on.tokens.create(request.body);
    reply.code(201).header('cache-control', 'no-store');
    return { token: text, ...describeToken(token, token.createdAtSeconds) };
  });

  app.delete('/admin/v1/tokens/:id', { schema: { params: Params } }, async (request) => {
    const { id } = request.params;
    const outcome = await on.tokenStore.withdrawToken({ sha256Prefix: id, atSeconds: secondsOf(on.clock) });
    if (outcome === 'unknown') throw new Problem('token-unknown', `there is no unused enrolment token ${id}`);
    return { id };
  });
}

function describeToken(token: EnrolmentToken, nowSeconds: number) {
  return {
    id: token.sha256.slice(0, ID_DIGITS),
    state: stateOf(token, nowSeconds),
    channel: token.channel,
    comment: token.comment,
    createdAt: token.createdAtSeconds,
    expiresAt: token.expiresAtSeconds,
    usedBy: token.usedBy ?? null,
  };
}

function stateOf({ usedBy, expiresAtSeconds }: EnrolmentToken, nowSeconds: number) {
  if (usedBy !== undefined) return 'used';
  return expiresAtSeconds <= nowSeconds ? 'expired' : 'unused';
}
