import { describe, expect, it } from 'vitest';
import { ekGroupsOf, nodeIdOf } from '../../src/attestation/node.ts';
import { asciiBytes, sha256, toHex } from '../../src/core/bytes.ts';

const FINGERPRINT = toHex(sha256(asciiBytes('an endorsement key')));

describe('the name of a node', () => {
  it('is the beginning of the fingerprint of its endorsement key, 80 bits of it', () => {
    expect(nodeIdOf(FINGERPRINT)).toBe(`n-${FINGERPRINT.slice(0, 20)}`);
  });

  it('begins like the groups that people compare, eight of four digits', () => {
    const groups = ekGroupsOf(FINGERPRINT);
    expect(groups).toMatch(/^[0-9a-f]{4}(?: [0-9a-f]{4}){7}$/);
    expect(groups.replaceAll(' ', '')).toBe(FINGERPRINT.slice(0, 32));
    expect(nodeIdOf(FINGERPRINT).slice(2)).toBe(groups.replaceAll(' ', '').slice(0, 20));
  });
});
