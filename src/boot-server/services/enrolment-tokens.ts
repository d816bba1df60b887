import type { EnrolmentToken, EnrolmentTokenStore } from '../../attestation/enrolment-tokens.ts';
import { asciiBytes, sha256, toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { Problem } from '../problems.ts';

/** 32 characters that nobody takes for another: without 0, 1, l and o. So 28 of them are 140 bits. */
const ALPHABET = '23456789abcdefghijkmnpqrstuvwxyz';
const GROUPS = 7;
const GROUP_LENGTH = 4;
const SEPARATORS = /[ -]/g;

export interface EnrolmentTokenService {
  /** The token's text is in this answer and nowhere else: only its hash is kept. */
  create(wanted: {
    channel: string;
    comment: string;
    validSeconds: number;
  }): Promise<{ text: string; token: EnrolmentToken }>;
  /** The token with this text, as long as it can be used. @throws {Problem} token-refused */
  find(text: string): Promise<EnrolmentToken>;
  /** The same by hash, when it is about to be used. @throws {Problem} token-refused */
  require(sha256: string): Promise<EnrolmentToken>;
}

export function createEnrolmentTokenService(on: {
  tokens: EnrolmentTokenStore;
  clock: Clock;
  random: RandomSource;
}): EnrolmentTokenService {
  const service: EnrolmentTokenService = {
    async create({ channel, comment, validSeconds }) {
      const text = writeToken(on.random);
      const createdAtSeconds = secondsOf(on.clock);
      const expiresAtSeconds = createdAtSeconds + validSeconds;
      const token = { sha256: hashToken(text), channel, comment, createdAtSeconds, expiresAtSeconds };
      await on.tokens.createToken(token);
      return { text, token };
    },

    find: (text) => service.require(hashToken(text)),

    async require(hash) {
      const token = await on.tokens.findUnusedToken(hash);
      if (token === undefined)
        throw new Problem('token-refused', 'no such enrolment token, or it was used or withdrawn');
      if (token.expiresAtSeconds <= secondsOf(on.clock))
        throw new Problem('token-refused', 'the enrolment token has expired');
      return token;
    },
  };
  return service;
}

/** Looked up by hash: how long that takes tells nothing about other tokens. As people type it, too. */
function hashToken(text: string): string {
  return toHex(sha256(asciiBytes(text.replaceAll(SEPARATORS, '').toLowerCase())));
}

/** Each byte gives five bits, so that every character is as likely as every other. */
function writeToken(random: RandomSource): string {
  const characters = Array.from(random(GROUPS * GROUP_LENGTH), (byte) =>
    ALPHABET.charAt(byte % ALPHABET.length),
  );
  const groups = Array.from({ length: GROUPS }, (_, group) =>
    characters.slice(group * GROUP_LENGTH, (group + 1) * GROUP_LENGTH).join(''),
  );
  return groups.join('-');
}
