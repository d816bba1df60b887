import { beforeEach, expect } from 'vitest';
import { SIGNED_AT_FIELD } from '../../../src/signing/tuf/envelope.ts';
import { ConformanceClient, ConformanceRepository } from './conformance-repository.ts';
import { conformance } from './conformance-suite.ts';
import { DAY_MS, NOW_MS } from './tuf-fixture.ts';

let repository: ConformanceRepository;
let client: ConformanceClient;

beforeEach(async () => {
  repository = await ConformanceRepository.create();
  client = new ConformanceClient(repository);
});

const onDay = (day: number): number => NOW_MS + day * DAY_MS;
const timeOf = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

function expire(role: string, day: number): void {
  repository.signed(role).expires = timeOf(onDay(day));
  // As in the suite, whose timestamps do not say when they were signed.
  delete repository.signed(role)[SIGNED_AT_FIELD];
}

conformance('test_expiration', {
  test_root_expired: async () => {
    client.refresh();
    await repository.publish('root');
    client.refresh();
    expire('root', -1);
    await repository.publish('root', 'targets', 'snapshot', 'timestamp');
    client.refuses('tuf-expired');
    expect(client.versions()).toEqual([2, 1, 1, 1]);
  },

  test_timestamp_expired: async () => {
    client.refresh();
    expire('timestamp', -5);
    await repository.publish('timestamp');
    client.refuses('tuf-expired');
  },

  test_snapshot_expired: async () => {
    client.refresh();
    expire('snapshot', -5);
    await repository.publish('snapshot', 'timestamp');
    client.refuses('tuf-expired');
  },

  test_targets_expired: async () => {
    client.refresh();
    expire('targets', -5);
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refuses('tuf-expired');
  },

  test_expired_local_root: async () => {
    expire('root', 7);
    await repository.publish('root');
    client.refresh();
    expire('root', 21);
    await repository.publish('root');
    client.refresh(onDay(18));
    expect(client.version('root')).toBe(3);
  },

  test_expired_local_timestamp: async () => {
    expire('timestamp', 7);
    await repository.publish('timestamp');
    client.refresh();
    expire('timestamp', 21);
    await repository.publish('targets', 'snapshot', 'timestamp');
    client.refresh(onDay(18));
    expect(client.versions()).toEqual([1, 3, 2, 2]);
  },
});
