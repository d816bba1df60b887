import { describe, expect, it } from 'vitest';
import { asciiBytes } from '../../src/core/bytes.ts';
import { type ArtifactReference, referenceOf, verifyArtifact } from '../../src/signing/artifact.ts';
import {
  artifactsIn,
  encodeReleaseManifest,
  MAX_CMDLINE_LENGTH,
  MAX_MANIFEST_BYTES,
  parseListedManifest,
  parseReleaseManifest,
} from '../../src/signing/manifest.ts';
import { listingOf, MANIFEST } from './tuf/tuf-fixture.ts';

const TEXT = Buffer.from(encodeReleaseManifest(MANIFEST)).toString();

const flipped = (change: object): Uint8Array =>
  asciiBytes(JSON.stringify({ ...JSON.parse(TEXT), ...change }));

function refuses(bytes: Uint8Array): void {
  expect(() => parseReleaseManifest(bytes)).toThrow(expect.objectContaining({ code: 'manifest-invalid' }));
}

describe('a release manifest', () => {
  it('is read back as it was written', () => {
    expect(parseReleaseManifest(encodeReleaseManifest(MANIFEST))).toEqual(MANIFEST);
  });

  it('has the same bytes whatever the order of its fields', () => {
    const shuffled = Object.fromEntries(Object.entries(MANIFEST).reverse()) as unknown as typeof MANIFEST;
    expect(encodeReleaseManifest(shuffled)).toEqual(encodeReleaseManifest(MANIFEST));
  });

  it('has bytes that will never change', () => {
    expect(referenceOf(encodeReleaseManifest(MANIFEST))).toEqual({
      sha256: 'b1b365511042b99d30f8c4260ac4a28b61e27b75a8103d99c71904930eb8efae',
      length: TEXT.length,
    });
  });

  it('is not written when it would not be read', () => {
    for (const change of [{ name: '' }, { version: 0 }, { cmdline: 'caf\u00e9' }, { channel: 'A' }])
      expect(() => encodeReleaseManifest({ ...MANIFEST, ...change })).toThrow(/release manifest/);
  });
});

describe('a field', () => {
  it.each(Object.keys(JSON.parse(TEXT)))('refuses a manifest without "%s"', (member) => {
    refuses(flipped({ [member]: undefined }));
  });

  it.each<[string, unknown]>([
    ['format', 'bootward-release-v2'],
    ['channel', 'Demo'],
    ['channel', '../demo'],
    ['channel', ''],
    ['channel', '-demo'],
    ['channel', 'x'.repeat(33)],
    ['version', 0],
    ['version', -1],
    ['version', '1'],
    ['name', ''],
    ['name', ' x'],
    ['name', 'x'.repeat(129)],
    ['architecture', 'sparc'],
    ['architecture', 'toString'],
    ['handover', 'reboot'],
    ['cmdline', null],
    ['cmdline', 'x'.repeat(MAX_CMDLINE_LENGTH + 1)],
    ['kernel', null],
    ['kernel', { sha256: 'aa'.repeat(32) }],
    ['kernel', { sha256: 'AA'.repeat(32), length: 1 }],
    ['kernel', { sha256: 'aa'.repeat(31), length: 1 }],
    ['kernel', { sha256: 'aa'.repeat(32), length: 0 }],
    ['kernel', { sha256: 'aa'.repeat(32), length: 2 ** 32 }],
    ['initramfs', { sha256: 'aa'.repeat(32), length: 1, url: 'https://attacker.example/' }],
    ['hooks', []],
  ])('refuses "%s": %j', (member, value) => refuses(flipped({ [member]: value })));

  it.each(['', 'x'.repeat(MAX_CMDLINE_LENGTH), 'quote="a b" back\\slash'])(
    'reads a command line of %j',
    (cmdline) => {
      expect(parseReleaseManifest(encodeReleaseManifest({ ...MANIFEST, cmdline })).cmdline).toBe(cmdline);
    },
  );
});

describe('attachments', () => {
  const sbom = referenceOf(asciiBytes('{}'));
  const withAttachments = (attachments: unknown) => flipped({ attachments });

  it('are read back, in the order of their names', () => {
    const manifest = {
      ...MANIFEST,
      attachments: new Map([
        ['sbom', sbom],
        ['provenance', sbom],
      ]),
    };
    const bytes = encodeReleaseManifest(manifest);
    expect(parseReleaseManifest(bytes)).toEqual(manifest);
    expect([...parseReleaseManifest(bytes).attachments.keys()]).toEqual(['provenance', 'sbom']);
  });

  it('belong to what makes a release complete', () => {
    const manifest = { ...MANIFEST, attachments: new Map([['sbom', sbom]]) };
    expect(artifactsIn(manifest)).toEqual([MANIFEST.kernel, MANIFEST.initramfs, sbom]);
  });

  it.each([
    ['no object', []],
    ['an empty one', {}],
    ['an empty name', { '': sbom }],
    ['a path for a name', { '../sbom': sbom }],
    ['no reference', { sbom: 'sbom.json' }],
    ['another member', { sbom: { ...sbom, url: 'https://example.com' } }],
    ['too many', Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`a${index}`, sbom]))],
  ])('are refused when they are %s', (_, attachments) => refuses(withAttachments(attachments)));
});

describe('its bytes', () => {
  it('S8 refuses other spellings of a number', () => {
    for (const spelling of ['1.0', '1e0', '-0', '01'])
      refuses(asciiBytes(TEXT.replace('"version": 1', `"version": ${spelling}`)));
  });

  it('S9 refuses duplicate keys', () => refuses(asciiBytes(TEXT.replace('{', '{"version": 2,'))));

  it('S10 refuses __proto__', () => refuses(asciiBytes(TEXT.replace('{', '{"__proto__": {"version": 2},'))));

  it('S11 refuses a version past 2^53', () => {
    refuses(asciiBytes(TEXT.replace('"version": 1', '"version": 9007199254740993')));
  });

  it('S12 refuses what is not ASCII', () => {
    for (const bytes of [[0xef, 0xbb, 0xbf], [0xc3, 0xa9], [0x00]])
      refuses(Buffer.concat([Buffer.from(TEXT.slice(0, -2)), Buffer.from(bytes), Buffer.from('}\n')]));
  });

  it('refuses it cut short anywhere, and followed by anything', () => {
    for (let length = 0; length < TEXT.length - 1; length += 1) refuses(asciiBytes(TEXT.slice(0, length)));
    refuses(asciiBytes(`${TEXT}{}`));
  });

  it('D20 refuses one byte past the limit', () => {
    const room = MAX_MANIFEST_BYTES - TEXT.length;
    expect(parseReleaseManifest(asciiBytes(TEXT + ' '.repeat(room)))).toEqual(MANIFEST);
    refuses(asciiBytes(TEXT + ' '.repeat(room + 1)));
  });
});

describe('a listed manifest', () => {
  const bytes = encodeReleaseManifest(MANIFEST);

  it('is what its listing says', () => {
    expect(parseListedManifest(bytes, listingOf(MANIFEST))).toEqual(MANIFEST);
  });

  it('S15 refuses another length, though the hash is right', () => {
    const listing = { ...listingOf(MANIFEST), length: bytes.length + 1 };
    expect(() => parseListedManifest(bytes, listing)).toThrow(
      expect.objectContaining({ code: 'artifact-length-mismatch' }),
    );
  });

  it('refuses other bytes of equal length', () => {
    const other = encodeReleaseManifest({ ...MANIFEST, name: 'demo release 2' });
    expect(other.length).toBe(bytes.length);
    expect(() => parseListedManifest(other, listingOf(MANIFEST))).toThrow(
      expect.objectContaining({ code: 'artifact-hash-mismatch' }),
    );
  });

  it.each([
    ['channel', 'pi-stable'],
    ['version', 2],
    ['architecture', 'arm64'],
    ['name', 'demo release 2'],
  ])('S16 refuses one listed with %s %j', (member, value) => {
    const listing = { ...listingOf(MANIFEST), [member]: value };
    expect(() => parseListedManifest(bytes, listing)).toThrow(
      expect.objectContaining({ code: 'manifest-not-as-listed' }),
    );
  });
});

describe('S16 two releases', () => {
  const kernels = [asciiBytes('kernel 1'), asciiBytes('kernel 2')] as const;
  const initrds = [asciiBytes('initrd 1'), asciiBytes('initrd 2')] as const;
  const release = { ...MANIFEST, kernel: referenceOf(kernels[0]), initramfs: referenceOf(initrds[0]) };

  const verifyParts = (kernel: Uint8Array, initrd: Uint8Array): void => {
    verifyArtifact(release.kernel, referenceOf(kernel));
    verifyArtifact(release.initramfs, referenceOf(initrd));
  };

  it('S16 refuses the kernel of one with the initramfs of the other', () => {
    expect(() => verifyParts(kernels[0], initrds[0])).not.toThrow();
    expect(() => verifyParts(kernels[1], initrds[0])).toThrow(/SHA-256/);
    expect(() => verifyParts(kernels[0], initrds[1])).toThrow(/SHA-256/);
  });

  it('S16 refuses kernel and initramfs in each other’s place', () => {
    expect(() => verifyParts(initrds[0], kernels[0])).toThrow(/SHA-256/);
  });

  it('S15 refuses an artifact of another length, though the hash is right', () => {
    const actual: ArtifactReference = { ...release.kernel, length: release.kernel.length - 1 };
    expect(() => verifyArtifact(release.kernel, actual)).toThrow(
      expect.objectContaining({ code: 'artifact-length-mismatch' }),
    );
  });
});
