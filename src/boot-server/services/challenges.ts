import type { AttestationStore } from '../../attestation/attestation-store.ts';
import { QUOTED_PCRS } from '../../attestation/policy/policy.ts';
import type { Purpose } from '../../attestation/quote/purpose.ts';
import { asciiBytes, sha256, toBase64Url, toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { signJws } from '../../signing/jws.ts';
import type { ServerKey } from '../../signing/keys/server-key.ts';
import { Problem } from '../problems.ts';

const NONCE_BYTES = 32;
/** A node answers one at a time; who knows its AK Name and asks without end fills no disk with them. */
const MAX_OPEN_PER_AK = 64;

export interface ChallengeService {
  /**
   * A fresh challenge, stored before anybody sees it. The compact JWS is what the node signs over.
   *
   * @throws {Problem} too-many-requests
   */
  issue(request: { purpose: Purpose; akName: string; enrolmentId?: string }): Promise<string>;
}

/** Hex SHA-256 by which a challenge is stored and found again. */
export function challengeDigest(jws: string): string {
  return toHex(sha256(asciiBytes(jws)));
}

export function createChallengeService(on: {
  store: AttestationStore;
  grantKey: ServerKey;
  /** Hex SHA-256 of every public key that this service answers agents with. */
  serverKeys: readonly string[];
  ttlSeconds: number;
  clock: Clock;
  random: RandomSource;
}): ChallengeService {
  async function refuseFlood(asked: Parameters<AttestationStore['countOpenChallenges']>[0]) {
    if ((await on.store.countOpenChallenges(asked)) >= MAX_OPEN_PER_AK)
      throw new Problem(
        'too-many-requests',
        'too many challenges of this node are open: try again in a minute',
        {
          headers: { 'retry-after': '60' },
        },
      );
  }

  return {
    async issue({ purpose, akName, enrolmentId }) {
      const issuedAtSeconds = secondsOf(on.clock);
      // Those of enrolments are bounded with them.
      if (enrolmentId === undefined) await refuseFlood({ akName, purpose, nowSeconds: issuedAtSeconds });
      const expiresAtSeconds = issuedAtSeconds + on.ttlSeconds;
      const jws = await signJws({
        key: on.grantKey.privateKey,
        keyId: on.grantKey.keyId,
        typ: 'bootward-challenge+jwt',
        payload: {
          nonce: toBase64Url(on.random(NONCE_BYTES)),
          purpose,
          akName,
          pcrBank: 'sha256',
          pcrs: [...QUOTED_PCRS],
          serverKeys: [...on.serverKeys],
          iat: issuedAtSeconds,
          exp: expiresAtSeconds,
        },
      });
      await on.store.saveChallenge({
        sha256: challengeDigest(jws),
        akName,
        purpose,
        ...(enrolmentId !== undefined && { enrolmentId }),
        issuedAtSeconds,
        expiresAtSeconds,
      });
      return jws;
    },
  };
}
