import type { AttestationStore } from '../../attestation/attestation-store.ts';
import { QUOTED_PCRS } from '../../attestation/channel-policy.ts';
import type { Purpose } from '../../attestation/purpose.ts';
import { asciiBytes, sha256, toBase64Url, toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { signJws } from '../../signing/jws.ts';
import type { ServerKey } from '../../signing/keys/server-key.ts';

const NONCE_BYTES = 32;

export interface ChallengeService {
  /** A fresh challenge, stored before anybody sees it. The compact JWS is what the node signs over. */
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
  return {
    async issue({ purpose, akName, enrolmentId }) {
      const issuedAtSeconds = secondsOf(on.clock);
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
