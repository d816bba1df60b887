import type { AttestationStore, GrantRecord } from '../../attestation/attestation-store.ts';
import type { ClaimedStage0, NodeRecord } from '../../attestation/node.ts';
import type { Stage0Reference } from '../../attestation/policy/stage0-matching.ts';
import { toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { isJsonObject, type JsonObject } from '../../core/strict-json.ts';
import type { Release } from '../../releases/catalog.ts';
import { JwsError, signJws, verifyJws } from '../../signing/jws.ts';
import type { ServerKey } from '../../signing/keys/server-key.ts';
import { Problem } from '../problems.ts';

const GRANT_ID_BYTES = 16;
const MAX_GRANT_CHARACTERS = 2048;

export interface GrantService {
  /** A grant to be stored with its verdict, and the token for it. Nothing is stored here. */
  prepare(grantee: {
    nodeId: string;
    release: Release;
    clientThumbprint: string;
    /** Of a node whose PCRs do not tell which stage-0 it runs. */
    claimedStage0?: ClaimedStage0;
  }): Promise<{ record: GrantRecord; token: string }>;
  /**
   * The open grant behind a request: ours, in time, not closed, of an enrolled node, and presented on a
   * connection that proves the key it is bound to (RFC 8705 section 3). The stage-0 that it was granted to, or that
   * the node claimed, is still listed.
   *
   * @throws {Problem} grant-missing, grant-invalid, grant-expired, grant-key-mismatch, grant-closed
   */
  authorize(request: {
    authorization: string | undefined;
    clientThumbprint: string | undefined;
  }): Promise<GrantRecord>;
  close(grant: GrantRecord): Promise<void>;
}

export function createGrantService(on: {
  store: AttestationStore;
  /** The stage-0 images that are listed at this moment. */
  listedStage0: () => readonly Stage0Reference[];
  grantKey: ServerKey;
  ttlSeconds: number;
  clock: Clock;
  random: RandomSource;
}): GrantService {
  async function readToken(token: string): Promise<{ id: string; claimedStage0?: ClaimedStage0 }> {
    try {
      const { payload } = await verifyJws({
        token,
        keys: new Map([[on.grantKey.keyId, on.grantKey.publicKey]]),
        typ: 'bootward-grant+jwt',
        maxBytes: MAX_GRANT_CHARACTERS,
      });
      if (typeof payload.jti !== 'string' || typeof payload.exp !== 'number')
        throw new Problem('grant-invalid', 'the grant has no id or no expiry');
      if (payload.exp <= secondsOf(on.clock))
        throw new Problem('grant-expired', 'the grant has expired: attest again');
      const claimedStage0 = claimedStage0Of(payload);
      return { id: payload.jti, ...(claimedStage0 && { claimedStage0 }) };
    } catch (cause) {
      if (cause instanceof JwsError)
        throw new Problem('grant-invalid', `the grant is not one of ours: ${cause.message}`, { cause });
      throw cause;
    }
  }

  return {
    async prepare({ nodeId, release, clientThumbprint, claimedStage0 }) {
      const issuedAtSeconds = secondsOf(on.clock);
      const { channel, version, sha256: releaseDigest } = release.listing;
      const record: GrantRecord = {
        id: toHex(on.random(GRANT_ID_BYTES)),
        nodeId,
        channel,
        version,
        releaseDigest,
        clientThumbprint,
        issuedAtSeconds,
        expiresAtSeconds: issuedAtSeconds + on.ttlSeconds,
      };
      const token = await signJws({
        key: on.grantKey.privateKey,
        keyId: on.grantKey.keyId,
        typ: 'bootward-grant+jwt',
        payload: {
          jti: record.id,
          sub: nodeId,
          iat: issuedAtSeconds,
          exp: record.expiresAtSeconds,
          cnf: { 'x5t#S256': clientThumbprint },
          channel,
          version,
          releaseDigest,
          ...(claimedStage0 && { claimedStage0: { ...claimedStage0 } }),
        },
      });
      return { record, token };
    },

    async authorize({ authorization, clientThumbprint }) {
      const token = /^Bearer ([A-Za-z0-9_.-]+)$/.exec(authorization ?? '')?.[1];
      if (token === undefined) throw new Problem('grant-missing', 'send "Authorization: Bearer <grant>"');
      const { id, claimedStage0 } = await readToken(token);
      const grant = await on.store.findOpenGrant(id);
      if (grant === undefined)
        throw new Problem('grant-closed', 'the grant was closed: used up, replaced, or its node revoked');
      if (grant.expiresAtSeconds <= secondsOf(on.clock))
        throw new Problem('grant-expired', 'the grant has expired: attest again');
      if (grant.clientThumbprint !== clientThumbprint)
        throw new Problem('grant-key-mismatch', 'present the ephemeral client certificate of this boot');
      const node = await on.store.findNode(grant.nodeId);
      if (node?.status !== 'enrolled') throw new Problem('grant-closed', 'the node is no longer enrolled');
      const listed = on.listedStage0();
      requireListedStage0(node, listed);
      if (claimedStage0 !== undefined) requireListedClaim(claimedStage0, listed);
      return grant;
    },

    async close(grant) {
      await on.store.closeGrant({ id: grant.id, nodeId: grant.nodeId, atSeconds: secondsOf(on.clock) });
    },
  };
}

/** A withdrawn build keeps nothing of what it was granted. */
function requireListedStage0({ session }: NodeRecord, listed: readonly Stage0Reference[]): void {
  const digest = session?.stage0Sha256;
  if (digest !== undefined && listed.every(({ sha256 }) => sha256 !== digest))
    throw new Problem(
      'grant-closed',
      'the stage-0 that was granted this has been withdrawn: boot a listed one',
    );
}

/** No proof that it runs that build; but who says so runs nothing that is good any more. */
function requireListedClaim(
  { architecture, build }: ClaimedStage0,
  listed: readonly Stage0Reference[],
): void {
  if (listed.some((reference) => reference.architecture === architecture && reference.build === build))
    return;
  throw new Problem(
    'grant-closed',
    `the node said it runs stage-0 ${architecture} build ${build}, which has been withdrawn: boot a listed one`,
  );
}

/** The server signed it, so it is what was written: grants of before had none. */
function claimedStage0Of({ claimedStage0 }: JsonObject): ClaimedStage0 | undefined {
  if (claimedStage0 === undefined) return undefined;
  const { architecture, build } = isJsonObject(claimedStage0) ? claimedStage0 : {};
  if (typeof architecture !== 'string' || typeof build !== 'number')
    throw new Problem('grant-invalid', 'the grant names no stage-0 where it should');
  return { architecture, build };
}
