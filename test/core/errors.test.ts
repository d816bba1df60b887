import { describe, expect, it } from 'vitest';
import { CodedError } from '../../src/core/errors.ts';

class Refused extends CodedError<'refused'> {}

describe('a coded error', () => {
  it('keeps code, cause and the name of its class', () => {
    const cause = new Error('why');
    expect(new Refused('refused', 'no', { cause })).toMatchObject({
      name: 'Refused',
      code: 'refused',
      cause,
    });
  });

  it('does not let what it quotes decide how long it is', () => {
    expect(new Refused('refused', 'x'.repeat(1000)).message).toBe('x'.repeat(1000));
    expect(new Refused('refused', `key ${'x'.repeat(1_000_000)}`).message).toHaveLength(1001);
  });
});
