import { beforeEach, expect } from 'vitest';
import { createPrivateKeyFor, type Scheme } from '../../../src/signing/public-key.ts';
import { createKeySigner } from '../../../src/signing/signer.ts';
import { ConformanceClient, ConformanceRepository } from './conformance-repository.ts';
import { conformance, eachCase } from './conformance-suite.ts';
import { type Flippable, testSigner } from './tuf-fixture.ts';

let repository: ConformanceRepository;
let client: ConformanceClient;

beforeEach(async () => {
  repository = await ConformanceRepository.create();
  client = new ConformanceClient(repository);
});

const numbered = (count: number) => Array.from({ length: count }, (_, index) => testSigner(`key ${index}`));

function signatureBy(keyId: string, { signatures }: Flippable): Flippable {
  return signatures.find(({ keyid }: Flippable) => keyid === keyId);
}

conformance('test_keys', {
  test_snapshot_does_not_meet_threshold: async () => {
    for (const signer of numbered(2)) repository.addKey('snapshot', signer);
    repository.signed('root').roles.snapshot.threshold = 3;
    await repository.publish('root', 'targets', 'snapshot', 'timestamp');
    client.refresh();
    repository.signersFor('snapshot').pop();
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refuses('tuf-threshold-not-met');
    expect(client.version('snapshot')).toBe(2);
  },

  test_snapshot_has_too_few_keys: async () => {
    client.refresh();
    for (const signer of numbered(4)) repository.addKey('snapshot', signer);
    repository.signed('root').roles.snapshot.threshold = 6;
    await repository.publish('root', 'snapshot', 'timestamp');
    client.refuses('tuf-role-invalid');
  },

  test_duplicate_keys: async () => {
    client.refresh();
    const [signer = testSigner('never')] = numbered(1);
    for (let count = 0; count < 9; count += 1) repository.allow('snapshot', signer);
    repository.signersFor('snapshot').push(...Array.from({ length: 9 }, () => signer));
    repository.signed('root').roles.snapshot.threshold = 6;
    await repository.publish('root', 'snapshot', 'timestamp');
    client.refuses('tuf-role-invalid');
  },

  test_duplicate_sig_keyids: async () => {
    repository.reserve('snapshot', ({ signatures }) => signatures.push(signatures[0]));
    await repository.publish('timestamp');
    client.refuses('tuf-metadata-invalid');
    expect(client.version('snapshot')).toBeUndefined();
  },

  ...eachCase<Scheme>(
    'test_keytype_and_scheme',
    {
      'rsa/rsassa-pss-sha256': 'rsassa-pss-sha256',
      'ecdsa/ecdsa-sha2-nistp256': 'ecdsa-sha2-nistp256',
      'ed25519/ed25519': 'ed25519',
    },
    async (scheme) => {
      const signer = createKeySigner(createPrivateKeyFor(scheme));
      repository.addKey('root', signer);
      repository.signed('root').roles.root.threshold = 2;
      await repository.publish('root');
      client.refresh();
      const { sig } = signatureBy(signer.keyId, JSON.parse(Buffer.from(repository.bytes('root')).toString()));
      await repository.publish('root');
      repository.reserve('root', (document) => {
        signatureBy(signer.keyId, document).sig = sig;
      });
      client.refuses('tuf-threshold-not-met');
      expect(client.version('root')).toBe(2);
    },
  ),

  test_invalid_sig_in_valid_metadata: async () => {
    const first = testSigner('timestamp').keyId;
    const { sig } = JSON.parse(Buffer.from(repository.bytes('timestamp')).toString()).signatures[0];
    repository.addKey('timestamp', testSigner('timestamp, second'));
    await repository.publish('root');
    for (const bad of [sig, '', 'no hex']) {
      await repository.publish('timestamp');
      repository.reserve('timestamp', (document) => {
        signatureBy(first, document).sig = bad;
      });
      client.refresh();
    }
    expect(client.version('timestamp')).toBe(4);
  },
});
