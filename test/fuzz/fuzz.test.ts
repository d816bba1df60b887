import { describe, expect, it } from 'vitest';
import { CodedError } from '../../src/core/errors.ts';
import { runCampaign } from './campaign.ts';
import { examine } from './examine.ts';
import { createRandom, seedOf } from './random.ts';
import { type PreparedTarget, requireSame } from './target.ts';
import { TARGETS } from './targets.ts';

const SEED = 20_261_121;
const DURATION_MS = 130;

describe('every reader of hostile bytes', () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))(
    '%s answers with a value or a coded error',
    async (name, target) => {
      const prepared = await target.prepare();
      expect(await countRead(prepared), 'a seed that is read to its end').toBeGreaterThan(0);
      const { executions, finding } = await runCampaign({
        target: { ...target, prepare: () => prepared },
        random: createRandom(seedOf(SEED, name)),
        durationMs: DURATION_MS,
      });
      expect(finding && { ...finding, input: Buffer.from(finding.input).toString('base64') }).toBeUndefined();
      expect(executions).toBeGreaterThan(0);
    },
  );
});

/** Seeds that give a value: without any, mutations would only ever try the first lines of a reader. */
async function countRead({ seeds, examine: read }: PreparedTarget): Promise<number> {
  const outcomes = await Promise.allSettled(seeds.map(async (seed) => read(seed)));
  return outcomes.filter(({ status }) => status === 'fulfilled').length;
}

class Refused extends CodedError<'refused'> {}
const INPUT = Uint8Array.of(1, 2, 3);
const findingOf = (read: (input: Uint8Array) => unknown) => examine({ seeds: [], examine: read }, INPUT);

describe('the fuzzer', () => {
  it('has nothing against a value or a coded error', async () => {
    expect(await findingOf((input) => input.length)).toBeUndefined();
    const refuse = () => {
      throw new Refused('refused', 'no', { cause: new TypeError('not an object') });
    };
    expect(await findingOf(refuse)).toBeUndefined();
  });

  it('finds an error without a code, at once or later', async () => {
    const crash = () => JSON.parse('{');
    expect(await findingOf(crash)).toMatch(/it throws SyntaxError/);
    expect(await findingOf(async () => crash())).toMatch(/it throws SyntaxError/);
  });

  it('finds a crash that a coded error covers up', async () => {
    const refuse = () => {
      throw new Refused('refused', 'no', { cause: new RangeError('Invalid typed array length') });
    };
    expect(await findingOf(refuse)).toMatch(/refused covers up RangeError/);
  });

  it('finds a reader that looks beyond its input', async () => {
    expect(await findingOf(({ buffer }) => new Uint8Array(buffer).at(-1))).toMatch(/beyond its input/);
    expect(await findingOf(({ buffer }) => new Uint8Array(buffer).fill(0).length)).toMatch(/writes into/);
  });

  it('finds a reader with two outcomes for one input', async () => {
    let calls = 0;
    const waver = () => {
      calls += 1;
      return calls;
    };
    expect(await findingOf(waver)).toMatch(/two outcomes for one input/);
  });

  it('finds what takes too long', async () => {
    const spin = () => {
      const start = process.threadCpuUsage().user;
      while (process.threadCpuUsage().user - start < 260_000);
    };
    expect(await findingOf(spin)).toMatch(/ms of CPU time/);
  });

  it('finds what takes too much memory', async () => {
    const kept: Uint8Array[] = [];
    expect(await findingOf(() => kept.push(new Uint8Array(80 * 1024 * 1024)) > 0)).toMatch(/of memory/);
  });

  it('finds what does not come back as it was', async () => {
    expect(await findingOf((input) => requireSame(input.subarray(1), input))).toMatch(/written again/);
  });

  it('tries the same inputs for the same seed', async () => {
    const inputsOf = async (seed: number) => {
      const inputs: string[] = [];
      const target = {
        name: 'any',
        format: 'json' as const,
        prepare: () => ({ seeds: [Buffer.from('{"a":[1,"00ff"]}')], examine: endAfterTwenty }),
      };
      function endAfterTwenty(): void {
        if (inputs.length === 20) throw new Error('a finding ends the campaign');
      }
      const onInput = (input: Uint8Array) => inputs.push(Buffer.from(input).toString('hex'));
      await runCampaign({ target, random: createRandom(seed), durationMs: 10_000, onInput });
      return inputs;
    };
    const first = await inputsOf(1);
    expect(first).toHaveLength(20);
    expect(await inputsOf(1)).toEqual(first);
    expect((await inputsOf(2)).slice(1)).not.toEqual(first.slice(1));
  });
});
