import { describe, expect, it } from 'vitest';
import { identifyStage0, type Stage0Reference } from '../../../src/attestation/policy/stage0-matching.ts';

const hex = (byte: string) => byte.repeat(32);
const OLD: Stage0Reference = {
  sha256: hex('01'),
  build: 1,
  architecture: 'x86_64',
  listed: false,
  pcr4SecureBoot: hex('a1'),
  pcr4NoSecureBoot: hex('b1'),
  pcr11: hex('c1'),
};
const NEW: Stage0Reference = {
  sha256: hex('02'),
  build: 2,
  architecture: 'x86_64',
  listed: true,
  pcr4SecureBoot: hex('a2'),
  pcr4NoSecureBoot: hex('b2'),
  pcr11: hex('c2'),
};
const { pcr4NoSecureBoot: _unknown, ...SIGNED_ONLY } = { ...NEW, architecture: 'aarch64' };
const identify = (pcr4: string, pcr11: string, references = [OLD, NEW]) =>
  identifyStage0({
    quoted: { pcr4, pcr11 },
    references,
    pcr11Of: (reference) => [reference.pcr11],
    nowSeconds: 1_000_000,
  });
const faultOf = (...given: Parameters<typeof identify>) => {
  const identified = identify(...given);
  return 'fault' in identified ? identified.fault : undefined;
};

describe('which stage-0 was started', () => {
  it('P12 is the one whose PCR 4 and PCR 11 were quoted, and PCR 4 says whether firmware verified it', () => {
    expect(identify(NEW.pcr4SecureBoot, NEW.pcr11)).toEqual({ match: { reference: NEW, secureBoot: true } });
    expect(identify(hex('b2'), NEW.pcr11)).toEqual({ match: { reference: NEW, secureBoot: false } });
  });

  it('P11 is refused by the name of its build when it is withdrawn', () => {
    for (const pcr4 of [OLD.pcr4SecureBoot, hex('b1')])
      expect(faultOf(pcr4, OLD.pcr11)).toMatchObject({
        code: 'stage0-withdrawn',
        message: expect.stringContaining('build 1'),
      });
  });

  it.each([
    [119, 'just now'],
    [120, '2 minutes ago'],
    [600, '10 minutes ago'],
    [7200, '2 hours ago'],
    [86_400, '24 hours ago'],
    [2 * 86_400, '2 days ago'],
    [3 * 86_400, '3 days ago'],
  ])('P11 and says since when: %d seconds', (seconds, words) => {
    const withdrawn = { ...OLD, withdrawnAtSeconds: 1_000_000 - seconds };
    expect(faultOf(OLD.pcr4SecureBoot, OLD.pcr11, [withdrawn, NEW])?.message).toBe(
      `PCR 4 and PCR 11: stage-0 is x86_64 build 1, withdrawn (${words}); boot a listed build`,
    );
  });

  it('P11 and leaves out since when where nobody knows', () => {
    expect(faultOf(OLD.pcr4SecureBoot, OLD.pcr11)?.message).toBe(
      'PCR 4 and PCR 11: stage-0 is x86_64 build 1, withdrawn; boot a listed build',
    );
  });

  it('P11 is the listed one where the same image was withdrawn and listed again', () => {
    const again = { ...OLD, listed: true };
    expect(identify(OLD.pcr4SecureBoot, OLD.pcr11, [OLD, again])).toMatchObject({
      match: { reference: again },
    });
  });

  it.each<[string, string, string, Stage0Reference[], RegExp]>([
    ['another application', hex('ee'), NEW.pcr11, [OLD, NEW], /^PCR 4 is e{64}:/],
    ['other sections', NEW.pcr4SecureBoot, hex('ee'), [OLD, NEW], /^PCR 11 is e{64}:/],
    ['other sections of what nobody verified', hex('b2'), hex('ee'), [OLD, NEW], /^PCR 11 is e{64}:/],
    ['both', hex('ee'), hex('dd'), [OLD, NEW], /^PCR 4 is e{64}, PCR 11 is d{64}:/],
    [
      'PCR 4 of one build and PCR 11 of another',
      hex('a1'),
      hex('c2'),
      [{ ...OLD, listed: true }, NEW],
      /different builds/,
    ],
    ['a withdrawn PCR 4 beside a listed PCR 11', hex('a1'), hex('c2'), [OLD, NEW], /^PCR 4 is (?:a1){32}:/],
    ['a value that nobody predicted', hex('b2'), NEW.pcr11, [SIGNED_ONLY], /^PCR 4 is (?:b2){32}:/],
    ['anything when nothing is listed', OLD.pcr4SecureBoot, hex('ee'), [OLD], /listed: none/],
    ['anything when nothing was ever published', hex('ee'), hex('ee'), [], /listed: none/],
  ])('P12 is not listed: %s', (_name, pcr4, pcr11, references, message) => {
    expect(faultOf(pcr4, pcr11, references)).toMatchObject({
      code: 'stage0-not-listed',
      message: expect.stringMatching(message),
    });
  });

  it('P12 says which builds are listed', () => {
    expect(faultOf(hex('ee'), hex('ee'), [NEW, OLD, SIGNED_ONLY])?.message).toContain(
      'x86_64 build 2, aarch64 build 2',
    );
  });
});
