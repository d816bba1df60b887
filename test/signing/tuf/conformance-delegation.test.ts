import { beforeEach, expect } from 'vitest';
import { ConformanceClient, ConformanceRepository } from './conformance-repository.ts';
import { conformance, eachCase } from './conformance-suite.ts';
import type { Flippable } from './tuf-fixture.ts';

let repository: ConformanceRepository;
let client: ConformanceClient;

beforeEach(async () => {
  repository = await ConformanceRepository.create();
  client = new ConformanceClient(repository);
});

const demoDelegation = (): Flippable =>
  repository
    .signed('targets')
    .delegations.roles.find(({ name }: { name: string }) => name === 'channel-demo');

conformance('test_updater_delegation_graphs', {
  test_cached_role_is_verified_against_current_delegator: async () => {
    client.refresh();
    const { keys } = repository.signed('targets').delegations;
    const roles = [demoDelegation()];
    for (const parent of ['channel-demo', 'channel-pi-stable'])
      repository.signed(parent).delegations = { keys, roles };
    await repository.publish('channel-demo', 'channel-pi-stable', 'snapshot', 'timestamp');
    client.refuses('tuf-delegation-invalid');
  },

  test_delegation_not_in_snapshot: async () => {
    delete repository.signed('snapshot').meta['channel-demo.json'];
    await repository.publish('snapshot', 'timestamp');
    client.refuses('tuf-file-missing');
    expect(client.version('channel-demo')).toBeUndefined();
  },
});

conformance(
  'test_quoting_issues',
  eachCase(
    'test_unusual_role_name',
    { '?': '?', '#': '#', '/delegatedrole': '/delegatedrole', '../delegatedrole': '../delegatedrole' },
    async (name) => {
      const { roles } = repository.signed('targets').delegations;
      const demo = { ...demoDelegation() };
      roles.push({ ...demo, name, paths: ['*'] });
      await repository.publish('targets', 'snapshot', 'timestamp');
      client.refuses('tuf-delegation-invalid');
      roles.pop();
      roles.push({ ...demo, name: `channel-${name}`, paths: [`channels/${name}/*`] });
      await repository.publish('targets', 'snapshot', 'timestamp');
      client.refuses('tuf-delegation-invalid');
    },
  ),
);
