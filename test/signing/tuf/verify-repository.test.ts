import { canonicalize } from '@tufjs/canonical-json';
import { beforeEach, describe, expect, it } from 'vitest';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import { keyIdOf } from '../../../src/signing/public-key.ts';
import type { TufErrorCode } from '../../../src/signing/tuf/errors.ts';
import { MAX_METADATA_BYTES } from '../../../src/signing/tuf/limits.ts';
import type { SeenMetadata } from '../../../src/signing/tuf/verify-metadata.ts';
import { verifyRepository } from '../../../src/signing/tuf/verify-repository.ts';
import {
  EXPIRES_REFUSED,
  EXPIRES_TAKEN,
  SPEC_VERSIONS_REFUSED,
  SPEC_VERSIONS_TAKEN,
} from './reader-vectors.ts';
import {
  DAY_MS,
  EXPIRY,
  type Flippable,
  GRANT_KEY,
  listingOf,
  MANIFEST,
  NOW_MS,
  SIGNERS,
  STAGE0,
  signDocument,
  signersOf,
  TestRepository,
  testSigner,
} from './tuf-fixture.ts';

/** In its form; whose key it is, is nobody's question here. */
const FLOOR_KEY = `${'A'.repeat(122)}==`;
const DELEGATED = ['channel-demo', 'channel-pi-stable', 'stage0'];
const ROLES = ['root', 'timestamp', 'snapshot', 'targets', ...DELEGATED];
const SIGNED_BELOW_ROOT = ROLES.filter((role) => role !== 'root');

let repository: TestRepository;

beforeEach(async () => {
  repository = await TestRepository.create();
});

function verify(input: Partial<Parameters<typeof verifyRepository>[0]> = {}) {
  const { trustedRoot, files } = repository;
  return verifyRepository({ trustedRoot, files, nowMs: NOW_MS, ...input });
}

function refuses(code: TufErrorCode, input: Partial<Parameters<typeof verifyRepository>[0]> = {}): void {
  expect(() => verify(input)).toThrow(expect.objectContaining({ code }));
}

describe('a good repository', () => {
  it('says what it lists', () => {
    const verified = verify();
    expect(verified.rootVersion).toBe(1);
    expect([...verified.grantKeys]).toEqual([[keyIdOf(GRANT_KEY), GRANT_KEY]]);
    expect(verified.channels).toEqual(
      new Map([
        ['demo', [listingOf(MANIFEST)]],
        ['pi-stable', []],
      ]),
    );
    expect(verified.stage0Builds).toEqual([STAGE0]);
    expect(verified.expiresMs).toBe(EXPIRY.onlineMs);
  });

  it('names each role with version and file, and the files to serve', () => {
    const { roles, files } = verify();
    expect([...roles].map(([role, { version }]) => [role, version])).toEqual([
      ['root', 1],
      ['timestamp', 3],
      ['snapshot', 3],
      ['targets', 1],
      ['channel-demo', 2],
      ['channel-pi-stable', 1],
      ['stage0', 2],
    ]);
    expect(files).toEqual([
      '1.root.json',
      'timestamp.json',
      '3.snapshot.json',
      '1.targets.json',
      '2.channel-demo.json',
      '1.channel-pi-stable.json',
      '2.stage0.json',
    ]);
  });

  it('verifies again against what was seen before', () => {
    const { roles } = verify();
    expect(verify({ previous: roles }).roles).toEqual(roles);
  });

  it.each(SIGNED_BELOW_ROOT)('is refused without the file of %s', (role) => {
    repository.files.delete(repository.fileOf(role));
    refuses('tuf-file-missing');
  });
});

describe('who signed', () => {
  it.each(SIGNED_BELOW_ROOT)('S1 refuses %s signed by a stranger', async (role) => {
    await repository.flip(role, () => undefined, [testSigner('stranger')]);
    refuses('tuf-threshold-not-met');
  });

  it('S1 refuses a trusted root signed by a stranger', async () => {
    await repository.flip('root', () => undefined, [testSigner('stranger')]);
    refuses('tuf-threshold-not-met');
  });

  it.each([
    ['timestamp', 'snapshot'],
    ['snapshot', 'timestamp'],
    ['targets', 'channel-demo'],
    ['channel-demo', 'channel-pi-stable'],
    ['channel-demo', 'targets'],
    ['stage0', 'channel-demo'],
  ])('S2 refuses %s signed by the key of %s', async (role, other) => {
    await repository.flip(role, () => undefined, signersOf(other));
    refuses('tuf-threshold-not-met');
  });

  it.each(ROLES)('refuses %s with one character of a signature changed', async (role) => {
    const document = repository.document(repository.fileOf(role));
    const { sig } = document.signatures[0];
    document.signatures[0].sig = (sig.startsWith('0') ? '1' : '0') + sig.slice(1);
    await repository.replace(role, Buffer.from(JSON.stringify(document)));
    refuses('tuf-threshold-not-met');
  });

  it('S14 refuses a signature in upper-case hex', async () => {
    const document = repository.document('timestamp.json');
    document.signatures[0].sig = document.signatures[0].sig.toUpperCase();
    await repository.replace('timestamp', Buffer.from(JSON.stringify(document)));
    refuses('tuf-threshold-not-met');
  });

  it('accepts further signatures by keys that it does not know', async () => {
    await repository.flip('timestamp', () => undefined, [...SIGNERS.timestamp, testSigner('stranger')]);
    expect(verify().rootVersion).toBe(1);
  });
});

describe('thresholds', () => {
  const second = testSigner('demo, second');

  /** Channel demo now has two keys and needs both. */
  async function twoOfTwo(): Promise<void> {
    await repository.flip('targets', ({ delegations }) => {
      delegations.keys[second.keyId] = second.key;
      const role = demoRole(delegations);
      role.keyids.push(second.keyId);
      role.threshold = 2;
    });
  }

  it('accepts two of two', async () => {
    await twoOfTwo();
    await repository.flip('channel-demo', () => undefined, [...signersOf('channel-demo'), second]);
    expect(verify().channels.get('demo')).toHaveLength(1);
  });

  it('S3 refuses one of two', async () => {
    await twoOfTwo();
    refuses('tuf-threshold-not-met');
  });

  it('S3 refuses one key signing twice', async () => {
    await twoOfTwo();
    const [signer] = signersOf('channel-demo');
    await repository.flip('channel-demo', () => undefined, signer ? [signer, signer] : []);
    refuses('tuf-metadata-invalid');
  });

  it('S3 counts one key under two ids once', async () => {
    const [signer = second] = signersOf('channel-demo');
    const twin = { ...signer.key, comment: 'the same key under another id' };
    const twinId = toHex(sha256(asciiBytes(canonicalize(twin))));
    await repository.flip('targets', ({ delegations }) => {
      delegations.keys[twinId] = twin;
      Object.assign(demoRole(delegations), { keyids: [signer.keyId, twinId], threshold: 2 });
    });
    await repository.flip('channel-demo', () => undefined, [signer, { ...signer, keyId: twinId }]);
    refuses('tuf-threshold-not-met');
  });

  it('S3 refuses a key id listed twice in a role', async () => {
    await repository.flip('targets', ({ delegations }) => {
      const role = demoRole(delegations);
      role.keyids.push(role.keyids[0]);
    });
    refuses('tuf-role-invalid');
  });

  it('S3 refuses a key under an id that is not its own', async () => {
    await repository.flip('targets', ({ delegations }) => {
      delegations.keys['00'.repeat(32)] = second.key;
    });
    refuses('tuf-metadata-invalid');
  });

  it.each([0, -1, 2, '1', null])(
    'S4 refuses a threshold of %j for a channel with one key',
    async (threshold) => {
      await repository.flip('targets', ({ delegations }) =>
        Object.assign(demoRole(delegations), { threshold }),
      );
      refuses('tuf-role-invalid');
    },
  );

  it.each(['root', 'timestamp', 'snapshot', 'targets'])(
    'S4 refuses a threshold of 0 for %s',
    async (role) => {
      await repository.flip('root', ({ roles }) => Object.assign(roles[role], { threshold: 0 }));
      refuses('tuf-role-invalid');
    },
  );

  it('S4 refuses a role without keys', async () => {
    await repository.flip('root', ({ roles }) =>
      Object.assign(roles.timestamp, { keyids: [], threshold: 1 }),
    );
    refuses('tuf-role-invalid');
  });

  it('does not count a key of a type that it does not know', async () => {
    const strange = { keytype: 'rot13', scheme: 'rot13', keyval: { public: 'abc' } };
    const keyId = toHex(sha256(asciiBytes(canonicalize(strange))));
    await repository.flip('targets', ({ delegations }) => {
      delegations.keys[keyId] = strange;
      Object.assign(demoRole(delegations), { keyids: [keyId], threshold: 1 });
    });
    refuses('tuf-threshold-not-met');
  });
});

describe('root rotation', () => {
  const newRootKey = testSigner('root, second');

  /** Root `version`, with another root key, signed by these. */
  async function rotate(version: number, signers = [...SIGNERS.root, newRootKey]): Promise<void> {
    const { signed } = repository.document('1.root.json');
    signed.version = version;
    signed.keys[newRootKey.keyId] = newRootKey.key;
    signed.roles.root.keyids = [newRootKey.keyId];
    repository.files.set(`${version}.root.json`, await signDocument(signed, signers));
  }

  it('follows a root signed by the old and the new key', async () => {
    await rotate(2);
    const verified = verify();
    expect(verified.rootVersion).toBe(2);
    expect(verified.files.slice(0, 2)).toEqual(['1.root.json', '2.root.json']);
  });

  it('S5 refuses a root that the old key did not sign', async () => {
    await rotate(2, [newRootKey]);
    refuses('tuf-threshold-not-met');
  });

  it('S5 refuses a root that its own key did not sign', async () => {
    await rotate(2, [...SIGNERS.root]);
    refuses('tuf-threshold-not-met');
  });

  it('S5 refuses a gap in the versions', async () => {
    await rotate(3);
    refuses('tuf-file-missing');
  });

  it('S5 refuses a root that skips a version under the next name', async () => {
    await rotate(3);
    repository.files.set('2.root.json', repository.bytes('3.root.json'));
    repository.files.delete('3.root.json');
    refuses('tuf-version-mismatch');
  });

  it('S5 refuses the old root again as the next one', () => {
    repository.files.set('2.root.json', repository.bytes('1.root.json'));
    refuses('tuf-version-mismatch');
  });

  it('refuses a root without consistent snapshots', async () => {
    await repository.flip('root', (signed) => Object.assign(signed, { consistent_snapshot: false }));
    refuses('tuf-metadata-invalid');
  });
});

describe('S7 fast-forward', () => {
  const thief = 2 ** 53 - 1;

  /** Root version 2 gives a role another key; timestamp and snapshot are signed again from version 1 on. */
  async function rotateOnline(role: 'timestamp' | 'snapshot' | 'targets'): Promise<void> {
    const next = testSigner(`${role}, second`);
    const { signed } = repository.document('1.root.json');
    signed.version = 2;
    signed.keys[next.keyId] = next.key;
    signed.roles[role].keyids = [next.keyId];
    repository.files.set('2.root.json', await signDocument(signed, SIGNERS.root));
    const { signed: own } = repository.document(repository.fileOf(role));
    await repository.replace(role, await signDocument(own, [next]));
  }

  function seenRunUp(...roles: string[]): Map<string, SeenMetadata> {
    const previous = new Map<string, SeenMetadata>(verify().roles);
    for (const role of roles) previous.set(role, { version: thief, sha256: '00'.repeat(32) });
    return previous;
  }

  it.each(['timestamp', 'snapshot'] as const)(
    'S7 recovers once root has exchanged the key of %s',
    async (role) => {
      const previous = seenRunUp('timestamp', 'snapshot', 'channel-demo');
      refuses('tuf-rollback', { previous });
      await rotateOnline(role);
      expect(verify({ previous }).rootVersion).toBe(2);
    },
  );

  it('S7 does not forget the versions when another key was exchanged', async () => {
    const previous = seenRunUp('timestamp');
    await rotateOnline('targets');
    refuses('tuf-rollback', { previous });
  });

  it('S7 never forgets the version of root', async () => {
    const previous = new Map<string, SeenMetadata>(verify().roles);
    await rotateOnline('timestamp');
    previous.set('root', { version: 3, sha256: '00'.repeat(32) });
    refuses('tuf-rollback', { previous });
  });
});

describe('grant keys', () => {
  const field = 'x-bootward-grant-keys';

  it.each([
    ['none', {}],
    ['one under another id', { ['00'.repeat(32)]: GRANT_KEY }],
    ['one of another type', otherType()],
    ['one with too few digits', shortKey()],
    ['a list', []],
  ])('are refused: %s', async (_, grantKeys) => {
    await repository.flip('root', (signed) => Object.assign(signed, { [field]: grantKeys }));
    refuses('tuf-metadata-invalid');
  });
});

describe('time', () => {
  it.each(ROLES)('S6 refuses %s in the second it expires', async (role) => {
    await repository.flip(role, (signed) => Object.assign(signed, { expires: '2026-11-21T00:00:00Z' }));
    refuses('tuf-expired');
    expect(verify({ nowMs: NOW_MS - 1 }).rootVersion).toBe(1);
  });

  it('accepts a trusted root that expired, when a later one has not', async () => {
    const { signed } = repository.document('1.root.json');
    repository.files.set('2.root.json', await signDocument({ ...signed, version: 2 }, SIGNERS.root));
    await replaceFirstRoot((root) => Object.assign(root, { expires: '2020-01-01T00:00:00Z' }));
    expect(verify().rootVersion).toBe(2);
  });

  it.each([...EXPIRES_REFUSED.map((text) => JSON.parse(`"${text}"`)), 1, null])(
    'refuses "expires" %j',
    async (expires) => {
      await repository.flip('timestamp', (signed) => Object.assign(signed, { expires }));
      refuses('tuf-metadata-invalid');
    },
  );

  it.each(EXPIRES_TAKEN)('takes "expires" %j', async (expires) => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { expires }));
    expect(verify().roles.get('timestamp')?.expiresMs).toBe(Date.parse(expires));
  });

  async function replaceFirstRoot(change: (signed: Flippable) => void): Promise<void> {
    const { signed } = repository.document('1.root.json');
    change(signed);
    repository.files.set('1.root.json', await signDocument(signed, SIGNERS.root));
  }
});

describe('versions seen before', () => {
  it.each(ROLES)('R1 refuses %s below the version that was seen', (role) => {
    const previous = new Map(verify().roles);
    const seen = previous.get(role);
    previous.set(role, { ...(seen ?? fail(role)), version: (seen?.version ?? 0) + 1 });
    refuses('tuf-rollback', { previous });
  });

  it.each(ROLES)('R2 refuses other bytes of %s under the version that was seen', (role) => {
    const previous = new Map(verify().roles);
    previous.set(role, { ...(previous.get(role) ?? fail(role)), sha256: '00'.repeat(32) });
    refuses('tuf-equivocation', { previous });
  });

  it('refuses a repository that a role has vanished from', () => {
    const previous = new Map<string, SeenMetadata>(verify().roles);
    previous.set('channel-gone', { version: 1, sha256: '00'.repeat(32) });
    refuses('tuf-rollback', { previous });
  });

  it.each([0, -1, '2', 2 ** 53 - 0.5, null])('R8 refuses the version %j', async (version) => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { version }));
    refuses('tuf-metadata-invalid');
  });

  it('R8 takes version 10 for newer than version 9', async () => {
    const previous = new Map(verify().roles);
    previous.set('timestamp', { ...(previous.get('timestamp') ?? fail('timestamp')), version: 9 });
    await repository.flip('timestamp', (signed) => Object.assign(signed, { version: 10 }));
    expect(verify({ previous }).roles.get('timestamp')?.version).toBe(10);
  });
});

describe('what timestamp and snapshot say', () => {
  it.each(['snapshot', 'targets', 'channel-demo', 'stage0'])(
    'S15 refuses %s of another length',
    async (role) => {
      await repository.flip(parentOf(role), ({ meta }) => {
        meta[`${role}.json`].length += 1;
      });
      refuses('tuf-length-mismatch');
    },
  );

  it.each(['snapshot', 'targets', 'channel-demo', 'stage0'])('refuses %s of another hash', async (role) => {
    await repository.flip(parentOf(role), ({ meta }) => {
      meta[`${role}.json`].hashes.sha256 = '00'.repeat(32);
    });
    refuses('tuf-hash-mismatch');
  });

  it.each(['snapshot', 'targets', 'channel-demo', 'stage0'])(
    'refuses %s of another version',
    async (role) => {
      const name = repository.fileOf(role);
      const bytes = repository.bytes(name);
      await repository.flip(parentOf(role), ({ meta }) => {
        meta[`${role}.json`].version += 10;
      });
      repository.files.set(repository.fileOf(role), bytes);
      refuses('tuf-version-mismatch');
    },
  );

  it.each([
    ['no length', { length: undefined }],
    ['no hashes', { hashes: undefined }],
    ['a hash of another kind', { hashes: { sha512: '00'.repeat(64) } }],
    ['a second hash', { hashes: { sha256: '00'.repeat(32), md5: '00'.repeat(16) } }],
    ['a length of 0', { length: 0 }],
  ])('refuses a snapshot entry with %s', async (_, change) => {
    await repository.flip('snapshot', ({ meta }) => Object.assign(meta['targets.json'], change));
    refuses('tuf-metadata-invalid');
  });

  it('refuses a delegated role that the snapshot leaves out', async () => {
    await repository.flip('snapshot', ({ meta }) => {
      delete meta['channel-demo.json'];
    });
    refuses('tuf-file-missing');
  });

  it('refuses a file in the snapshot that nothing delegates to', async () => {
    await repository.flip('snapshot', ({ meta }) => {
      meta['channel-other.json'] = meta['channel-demo.json'];
    });
    refuses('tuf-delegation-invalid');
  });
});

describe('delegations', () => {
  it.each<[string, (role: Flippable) => void]>([
    ["another channel's paths", (role) => Object.assign(role, { paths: ['channels/pi-stable/*'] })],
    ['more paths', (role) => role.paths.push('channels/pi-stable/*')],
    ['all paths', (role) => Object.assign(role, { paths: ['channels/*/*'] })],
    ['no paths', (role) => Object.assign(role, { paths: undefined })],
    ['hash prefixes', (role) => Object.assign(role, { path_hash_prefixes: ['00'] })],
    [
      'a name with a slash',
      (role) => Object.assign(role, { name: 'channel-a/b', paths: ['channels/a/b/*'] }),
    ],
    ['a name of dots', (role) => Object.assign(role, { name: 'channel-..', paths: ['channels/../*'] })],
    ['a name of another kind', (role) => Object.assign(role, { name: 'demo', paths: ['channels/demo/*'] })],
    ['the name of stage0', (role) => Object.assign(role, { name: 'stage0' })],
    ['a search that goes on', (role) => Object.assign(role, { terminating: false })],
  ])('refuses a channel with %s', async (_, change) => {
    await repository.flip('targets', ({ delegations }) => change(demoRole(delegations)));
    refuses('tuf-delegation-invalid');
  });

  it('refuses one role delegated twice', async () => {
    await repository.flip('targets', ({ delegations }) => delegations.roles.push(demoRole(delegations)));
    refuses('tuf-delegation-invalid');
  });

  it('refuses targets in the top-level role', async () => {
    const { targets } = repository.document(repository.fileOf('channel-demo')).signed;
    await repository.flip('targets', (signed) => Object.assign(signed, { targets }));
    refuses('tuf-delegation-invalid');
  });

  it('refuses a channel that delegates further', async () => {
    const { delegations } = repository.document(repository.fileOf('targets')).signed;
    await repository.flip('channel-demo', (signed) => Object.assign(signed, { delegations }));
    refuses('tuf-delegation-invalid');
  });
});

describe('what a channel lists', () => {
  const target = 'channels/demo/1.json';

  const rename = (name: string) => (signed: Flippable) =>
    Object.assign(signed, { targets: { [name]: signed.targets[target] } });

  it.each([
    'channels/pi-stable/1.json',
    'channels/demo/2.json',
    'channels/demo/01.json',
    'channels/demo/1.json/',
    'channels/demo/../demo/1.json',
    '/channels/demo/1.json',
    'stage0/x86-64-1.efi',
  ])('refuses the name %s for release 1 of demo', async (name) => {
    await repository.flip('channel-demo', rename(name));
    refuses('tuf-delegation-invalid');
  });

  it.each([
    ['version', '1'],
    ['version', 0],
    ['architecture', 'sparc'],
    ['name', ''],
    ['name', ' padded '],
    ['name', 'x'.repeat(129)],
    ['extra', 1],
  ])('refuses "custom" with %s %j', async (member, value) => {
    await repository.flip('channel-demo', ({ targets }) =>
      Object.assign(targets[target].custom, { [member]: value }),
    );
    refuses('tuf-target-invalid');
  });

  it('refuses releases for two architectures in one channel', async () => {
    await repository.flip('channel-demo', ({ targets }) => {
      const custom = { version: 2, architecture: 'arm64', name: 'other' };
      targets['channels/demo/2.json'] = { ...targets[target], custom };
    });
    refuses('tuf-target-invalid');
  });

  it('sorts releases by number, not by text', async () => {
    await repository.flip('channel-demo', ({ targets }) => {
      for (const version of [10, 9]) {
        const custom = { version, architecture: 'x86-64', name: `release ${version}` };
        targets[`channels/demo/${version}.json`] = { ...targets[target], custom };
      }
    });
    expect(
      verify()
        .channels.get('demo')
        ?.map(({ version }) => version),
    ).toEqual([1, 9, 10]);
  });

  it.each([
    ['build', 8, 'tuf-delegation-invalid'],
    ['build', 0, 'tuf-target-invalid'],
    ['architecture', 'arm64', 'tuf-delegation-invalid'],
    ['authenticodeSha256', 'AA'.repeat(32), 'tuf-target-invalid'],
    ['pcr11', 'bb', 'tuf-target-invalid'],
    ['pcr4', 'bb'.repeat(32), 'tuf-target-invalid'],
    ['floorKey', FLOOR_KEY, 'tuf-metadata-invalid'],
    ['floorApprovals', { secureBoot: '30'.repeat(70) }, 'tuf-target-invalid'],
  ] as const)('refuses a stage-0 build with %s %j', async (member, value, code) => {
    await repository.flip('stage0', ({ targets }) =>
      Object.assign(targets[STAGE0.target].custom, { [member]: value }),
    );
    refuses(code);
  });
});

describe('a stage-0 build that keeps a floor', () => {
  const approved = { floorKey: FLOOR_KEY, floorApprovals: { secureBoot: '30'.repeat(70) } };
  const listing = (custom: object) =>
    repository.flip('stage0', ({ targets }) =>
      Object.assign(targets[STAGE0.target].custom, approved, custom),
    );

  it('is listed with its key and one or two approvals', async () => {
    await listing({});
    expect(verify().stage0Builds).toMatchObject([approved]);
    const floorApprovals = { secureBoot: '30'.repeat(70), noSecureBoot: '31'.repeat(72) };
    await listing({ floorApprovals });
    expect(verify().stage0Builds).toMatchObject([{ floorApprovals }]);
  });

  it.each<[string, object]>([
    ['a key in hex', { floorKey: 'aa'.repeat(62) }],
    ['a key that is too short', { floorKey: FLOOR_KEY.slice(4) }],
    ['a key in a list', { floorKey: [FLOOR_KEY] }],
    ['no approval for Secure Boot on', { floorApprovals: { noSecureBoot: '30'.repeat(70) } }],
    ['an approval in capital letters', { floorApprovals: { secureBoot: 'AA'.repeat(70) } }],
    ['an approval that is too long', { floorApprovals: { secureBoot: '30'.repeat(73) } }],
    ['an approval of half a byte more', { floorApprovals: { secureBoot: `${'30'.repeat(70)}3` } }],
    ['an approval that is none', { floorApprovals: { secureBoot: '30'.repeat(70), noSecureBoot: null } }],
    ['an unknown approval', { floorApprovals: { secureBoot: '30'.repeat(70), always: '30'.repeat(70) } }],
  ])('is refused with %s', async (_name, custom) => {
    await listing(custom);
    refuses('tuf-target-invalid');
  });
});

describe('bytes', () => {
  /** Changes the text of the timestamp file, whose signature is over the canonical form only. */
  async function respell(change: (text: string) => string): Promise<void> {
    const text = Buffer.from(repository.bytes('timestamp.json')).toString();
    await repository.replace('timestamp', Buffer.from(change(text)));
  }

  /** The same, signed anew over what a lenient reader would make of it. */
  async function respellSigned(change: (text: string) => string): Promise<void> {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { note: 1000 }));
    await respell(change);
  }

  it('S8 white space and the order of keys make no difference', async () => {
    await respell((text) => JSON.stringify(JSON.parse(text), null, 4));
    expect(verify().rootVersion).toBe(1);
    await respell((text) => {
      const { signed, signatures } = JSON.parse(text);
      return JSON.stringify({ signed: Object.fromEntries(Object.entries(signed).reverse()), signatures });
    });
    expect(verify().rootVersion).toBe(1);
  });

  it.each(['1e3', '1000.0', '10E2', '0.1e4'])('S8 refuses 1000 spelled %s', async (spelling) => {
    await respellSigned((text) => text.replace('"note":1000', `"note":${spelling}`));
    refuses('tuf-metadata-invalid');
  });

  it('S8 refuses minus zero', async () => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { note: 0 }));
    await respell((text) => text.replace('"note":0', '"note":-0'));
    refuses('tuf-metadata-invalid');
  });

  it.each(['\\u0074imestamp', '\\/timestamp', 'time\\tstamp'])(
    'S8 refuses the escape in "%s"',
    async (spelling) => {
      await respell((text) => text.replace(/("_type": ?)"timestamp"/, `$1"${spelling}"`));
      refuses('tuf-metadata-invalid');
    },
  );

  it.each(['Zo\u00eb', 'Zoe\u0308', '\u007f'])('S8 refuses %j, properly signed', async (note) => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { note }));
    refuses('tuf-metadata-invalid');
  });

  it.each(['a"b', 'a\\b', '\\\\"'])('S8 reads back %j', async (note) => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { note }));
    expect(verify().rootVersion).toBe(1);
  });

  it('S9 refuses duplicate keys', async () => {
    await respell((text) => text.replace('"signed"', '"signed": {}, "signed"'));
    refuses('tuf-metadata-invalid');
  });

  it.each(['__proto__', 'constructor', 'prototype'])('S10 refuses the key %s', async (key) => {
    await respell((text) => text.replace('"signed"', `"${key}": {}, "signed"`));
    refuses('tuf-metadata-invalid');
  });

  it('S11 refuses an integer past 2^53, and takes the one below', async () => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { note: 2 ** 53 }));
    refuses('tuf-metadata-invalid');
    await repository.flip('timestamp', (signed) => Object.assign(signed, { note: 2 ** 53 - 1 }));
    expect(verify().rootVersion).toBe(1);
  });

  it.each([
    ['a byte-order mark', [0xef, 0xbb, 0xbf]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate in UTF-8', [0xed, 0xa0, 0x80]],
    ['a NUL', [0]],
  ])('S12 refuses %s', async (_, prefix) => {
    await repository.replace(
      'timestamp',
      Buffer.concat([Buffer.from(prefix), repository.bytes('timestamp.json')]),
    );
    refuses('tuf-metadata-invalid');
  });

  it('S12 refuses a lone surrogate in an escape', async () => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { note: 'x' }));
    await respell((text) => text.replace('"x"', '"\\ud800"'));
    refuses('tuf-metadata-invalid');
  });

  it.each(['timestamp', 'snapshot', 'targets', 'root'] as const)(
    'D20 refuses a %s past its limit',
    async (role) => {
      const bytes = repository.bytes(repository.fileOf(role));
      const spaces = Buffer.alloc(MAX_METADATA_BYTES[role] - bytes.length, 0x20);
      await repository.replace(role, Buffer.concat([bytes, spaces]));
      expect(verify().rootVersion).toBe(1);
      await repository.replace(role, Buffer.concat([bytes, spaces, Buffer.from(' ')]));
      refuses('tuf-metadata-invalid');
    },
  );

  it.each(ROLES)('refuses %s cut off anywhere, with our own error', async (role) => {
    const name = repository.fileOf(role);
    const bytes = repository.bytes(name);
    for (let length = 0; length < bytes.length - 2; length += 97) {
      repository.files.set(name, bytes.subarray(0, length));
      expect(() => verify()).toThrow(expect.objectContaining({ name: 'TufError' }));
    }
  });

  it.each(ROLES)('refuses %s of another type', async (role) => {
    await repository.flip(role, (signed) => Object.assign(signed, { _type: 'mirrors' }));
    refuses('tuf-metadata-invalid');
  });

  it.each(SPEC_VERSIONS_TAKEN)('takes "spec_version" %j', async (version) => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { spec_version: version }));
    expect(verify().rootVersion).toBe(1);
  });

  it.each([...SPEC_VERSIONS_REFUSED, 1])('refuses spec_version %j', async (version) => {
    await repository.flip('timestamp', (signed) => Object.assign(signed, { spec_version: version }));
    refuses('tuf-metadata-invalid');
  });
});

it('a repository stays valid until its first role expires', () => {
  expect(verify({ nowMs: NOW_MS + 29 * DAY_MS }).rootVersion).toBe(1);
  refuses('tuf-expired', { nowMs: NOW_MS + 30 * DAY_MS });
});

function demoRole(delegations: Flippable): Flippable {
  return delegations.roles.find(({ name }: { name: string }) => name === 'channel-demo');
}

function parentOf(role: string): string {
  return role === 'snapshot' ? 'timestamp' : 'snapshot';
}

function otherType() {
  const key = { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: 'abc' } };
  return { [toHex(sha256(asciiBytes(canonicalize(key))))]: key };
}

function shortKey() {
  const key = { ...GRANT_KEY, keyval: { public: 'abcd' } };
  return { [toHex(sha256(asciiBytes(canonicalize(key))))]: key };
}

function fail(what: string): never {
  throw new Error(`${what} is not in the test repository`);
}
