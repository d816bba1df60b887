import { beforeEach, expect } from 'vitest';
import { ConformanceClient, ConformanceRepository } from './conformance-repository.ts';
import { conformance } from './conformance-suite.ts';
import { testSigner } from './tuf-fixture.ts';

let repository: ConformanceRepository;
let client: ConformanceClient;

beforeEach(async () => {
  repository = await ConformanceRepository.create();
  client = new ConformanceClient(repository);
});

/** As somebody who stole the keys would. */
async function runUp(role: string): Promise<void> {
  repository.signed(role).version = 99;
  await repository.publish(role);
}

conformance('test_rollback', {
  test_new_timestamp_version_rollback: async () => {
    await repository.publish('timestamp');
    client.refresh();
    expect(client.version('timestamp')).toBe(2);
    repository.restart('timestamp');
    await repository.publish('timestamp');
    client.refuses('tuf-rollback');
  },

  'test_snapshot_rollback[with hashes]': async () => {
    await repository.publish('snapshot', 'timestamp');
    client.refresh();
    repository.restart('snapshot');
    await repository.publish('snapshot', 'timestamp');
    client.refuses('tuf-rollback');
    expect(client.versions()).toEqual([1, 2, 2, 1]);
  },

  test_targets_role_removal: async () => {
    client.refresh();
    delete repository.signed('snapshot').meta['channel-demo.json'];
    await repository.publish('snapshot', 'timestamp');
    client.refuses('tuf-file-missing');
    repository.removeChannel('demo');
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refuses('tuf-rollback');
  },

  test_targets_fast_forward_recovery: async () => {
    await runUp('targets');
    await repository.publish('snapshot', 'timestamp');
    client.refresh();
    expect(client.version('targets')).toBe(100);
    repository.restart('targets');
    repository.removeChannel('demo');
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refuses('tuf-rollback');
    repository.rotateKeys('snapshot', testSigner('snapshot, second'));
    await repository.publish('root', 'snapshot', 'timestamp');
    client.refresh();
    expect(client.version('targets')).toBe(1);
    expect(client.version('channel-demo')).toBeUndefined();
  },

  test_new_snapshot_fast_forward_recovery: async () => {
    await runUp('snapshot');
    await repository.publish('timestamp');
    client.refresh();
    expect(client.version('snapshot')).toBe(100);
    repository.rotateKeys('snapshot', testSigner('snapshot, second'));
    repository.rotateKeys('timestamp', testSigner('timestamp, second'));
    repository.restart('snapshot');
    await repository.publish('root', 'targets', 'snapshot', 'timestamp');
    client.refresh();
    expect(client.version('snapshot')).toBe(1);
  },

  test_new_timestamp_fast_forward_recovery: async () => {
    await runUp('timestamp');
    client.refresh();
    expect(client.version('timestamp')).toBe(100);
    repository.rotateKeys('timestamp', testSigner('timestamp, second'));
    repository.restart('timestamp');
    await repository.publish('root', 'timestamp');
    client.refresh();
    expect(client.version('timestamp')).toBe(1);
  },

  'test_targets_rollback[with hashes]': async () => {
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refresh();
    repository.restart('targets');
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refuses('tuf-rollback');
    expect(client.versions()).toEqual([1, 2, 2, 2]);
  },
});
