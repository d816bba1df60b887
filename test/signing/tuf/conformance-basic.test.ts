import { canonicalize } from '@tufjs/canonical-json';
import { beforeEach, expect } from 'vitest';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import { referenceOf } from '../../../src/signing/artifact.ts';
import type { Signer } from '../../../src/signing/signer.ts';
import { ConformanceClient, ConformanceRepository } from './conformance-repository.ts';
import { conformance, eachCase } from './conformance-suite.ts';
import { DAY_MS, type Flippable, NOW_MS, signDocument, testSigner } from './tuf-fixture.ts';

let repository: ConformanceRepository;
let client: ConformanceClient;

beforeEach(async () => {
  repository = await ConformanceRepository.create();
  client = new ConformanceClient(repository);
});

const ALL = ['root', 'targets', 'snapshot', 'timestamp'];
const ZEROS = '00'.repeat(32);

/** A good signature over something else. */
const OTHER_SIGNATURE =
  '3045022100ee448afe2d25dd1f05afedac83a24e7df90f203615221434979153dc7cea6d4702207710015851e571885a77db8a6e42c4b2983a59b9e1ebec91178dfa2fb0d42ab8';

const invalidInitialRoot = (change: (document: Flippable) => void): ConformanceClient => {
  const document = JSON.parse(Buffer.from(repository.bytes('root')).toString());
  change(document);
  return new ConformanceClient(repository, Buffer.from(JSON.stringify(document)));
};

/** The same key with a member more, under the id that it then has. */
function withMember(signer: Signer, member: Flippable): Signer {
  const key = { ...signer.key, ...member };
  return { ...signer, key, keyId: toHex(sha256(asciiBytes(canonicalize(key)))) };
}

conformance('test_basic', {
  test_basic_refresh_requests: async () => {
    await repository.publish('root');
    repository.files.set('9.targets.json', repository.bytes('targets'));
    expect(client.refresh().files).toEqual([
      '1.root.json',
      '2.root.json',
      'timestamp.json',
      '1.snapshot.json',
      '1.targets.json',
      '1.channel-demo.json',
      '1.channel-pi-stable.json',
      '1.stage0.json',
    ]);
  },

  test_basic_refresh_trusted_data: async () => {
    const { roles } = client.refresh();
    for (const role of ['root', 'timestamp', 'snapshot', 'targets'])
      expect(roles.get(role)).toMatchObject({
        version: 1,
        sha256: referenceOf(repository.bytes(role)).sha256,
      });
  },

  test_invalid_initial_root: async () => {
    invalidInitialRoot(({ signed }) => delete signed.version).refuses('tuf-metadata-invalid');
  },

  test_unsigned_initial_root: async () => {
    invalidInitialRoot(({ signatures }) => {
      signatures[0].sig = OTHER_SIGNATURE;
    }).refuses('tuf-threshold-not-met');
  },

  ...eachCase(
    'test_unsigned_metadata',
    { root: 'root', timestamp: 'timestamp', snapshot: 'snapshot', targets: 'targets' },
    async (role) => {
      repository.signers.set(role, []);
      await repository.publish(...ALL);
      client.refuses('tuf-threshold-not-met');
    },
  ),

  ...eachCase(
    'test_url_and_metadata_version_mismatch',
    { root: 'root', snapshot: 'snapshot', targets: 'targets' },
    async (role) => {
      await repository.publish(...ALL);
      const later = { ...repository.signed(role), version: 3 };
      repository.serve(role, await signDocument(later, repository.signersFor(role)));
      await repository.publish(...(role === 'targets' ? ['snapshot', 'timestamp'] : ['timestamp']));
      client.refuses('tuf-version-mismatch');
    },
  ),

  test_timestamp_content_changes: async () => {
    client.refresh();
    repository.signed('timestamp').meta['snapshot.json'].version = 100;
    repository.restart('timestamp');
    await repository.publish('timestamp');
    repository.files.set('100.snapshot.json', repository.bytes('snapshot'));
    client.refuses('tuf-equivocation');
  },

  test_basic_metadata_hash_support: async () => {
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refresh();
    expect(client.versions()).toEqual([1, 2, 2, 2]);
  },

  test_targets_hash_mismatch: async () => {
    client.refresh();
    await repository.publish('targets');
    repository.signed('snapshot').meta['targets.json'].hashes.sha256 = ZEROS;
    await repository.publish('snapshot', 'timestamp');
    client.refuses('tuf-hash-mismatch');
  },

  test_snapshot_hash_mismatch: async () => {
    client.refresh();
    await repository.publish('snapshot');
    repository.signed('timestamp').meta['snapshot.json'].hashes.sha256 = ZEROS;
    await repository.publish('timestamp');
    client.refuses('tuf-hash-mismatch');
  },

  test_metadata_bytes_match: async () => {
    repository.serve('timestamp', Buffer.concat([repository.bytes('timestamp'), Buffer.from(' ')]));
    const { sha256: accepted } = client.refresh().roles.get('timestamp') ?? {};
    expect(accepted).toBe(referenceOf(repository.bytes('timestamp')).sha256);
  },

  test_custom_fields: async () => {
    client.refresh();
    const root = repository.signed('root');
    root['custom-field'] = 'value';
    repository.addKey('root', withMember(testSigner('other'), { 'extra-field': { a: 1, b: 2 } }));
    root.roles.root['another-field'] = 'value';
    await repository.publish('root');
    client.refresh();
    expect(client.version('root')).toBe(2);
  },

  test_deprecated_keyid_hash_algorithms: async () => {
    repository.rotateKeys('snapshot', withMember(testSigner('other'), { keyid_hash_algorithms: 'md5' }));
    await repository.publish('root', 'snapshot', 'timestamp');
    client.refresh();
    expect(client.versions()).toEqual([2, 2, 2, 1]);
  },

  test_snapshot_404: async () => {
    client.refresh();
    repository.signed('timestamp').meta['snapshot.json'].version += 1;
    await repository.publish('timestamp');
    client.refuses('tuf-file-missing');
  },

  test_targets_404: async () => {
    client.refresh();
    repository.signed('snapshot').meta['targets.json'].version += 1;
    await repository.publish('snapshot', 'timestamp');
    client.refuses('tuf-file-missing');
  },

  test_timestamp_404: async () => {
    client.refresh();
    repository.restart('timestamp');
    client.refuses('tuf-file-missing');
  },

  test_incorrect_metadata_type: async () => {
    repository.addKey('snapshot', testSigner('timestamp'));
    const { meta } = repository.signed('timestamp');
    repository.signed('snapshot').meta = { 'snapshot.json': { ...meta['snapshot.json'] } };
    await repository.publish('root', 'snapshot');
    repository.serve('timestamp', repository.bytes('snapshot'));
    client.refuses('tuf-metadata-invalid');
  },

  test_faketime: async () => {
    repository.signed('root').expires = '2026-11-28T00:00:00Z';
    await repository.publish('root');
    client.refresh(NOW_MS + 7 * DAY_MS - 1);
    client.refuses('tuf-expired', NOW_MS + 8 * DAY_MS);
  },
});
