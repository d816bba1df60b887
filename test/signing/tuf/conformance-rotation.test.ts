import { expect } from 'vitest';
import { ConformanceClient, ConformanceRepository } from './conformance-repository.ts';
import { conformance, eachCase } from './conformance-suite.ts';
import { testSigner } from './tuf-fixture.ts';

/** Keys 0 to 9: those of the role, how many must sign, and those that do. */
interface Version {
  readonly keys: readonly number[];
  readonly threshold: number;
  readonly sigs: readonly number[];
  readonly refused?: true;
}

const FIVE = [0, 1, 2, 3, 4];
const FIVE_CHANGED = [0, 1, 3, 4, 5];

const ROOTS: Readonly<Record<string, readonly Version[]>> = {
  '1-of-1-key-rotation': [
    { keys: [1], threshold: 1, sigs: [1] },
    { keys: [2], threshold: 1, sigs: [2, 1] },
    { keys: [2], threshold: 1, sigs: [2] },
  ],
  '1-of-1-key-rotation-unused-signatures': [
    { keys: [1], threshold: 1, sigs: [3, 1, 4] },
    { keys: [2], threshold: 1, sigs: [3, 2, 1, 4] },
    { keys: [2], threshold: 1, sigs: [3, 2, 4] },
  ],
  '3-of-5-sign-with-different-keycombos': [
    { keys: FIVE, threshold: 3, sigs: [0, 2, 4] },
    { keys: FIVE, threshold: 3, sigs: [0, 4, 1] },
    { keys: FIVE, threshold: 3, sigs: [0, 1, 3] },
    { keys: FIVE, threshold: 3, sigs: [0, 1, 3] },
  ],
  '3-of-5-one-key-rotated': [
    { keys: FIVE, threshold: 3, sigs: [0, 2, 4] },
    { keys: FIVE_CHANGED, threshold: 3, sigs: [0, 4, 1] },
  ],
  '3-of-5-one-key-rotated-with-intermediate-step': [
    { keys: FIVE, threshold: 3, sigs: [0, 2, 4] },
    { keys: FIVE_CHANGED, threshold: 3, sigs: [0, 2, 4, 5] },
    { keys: FIVE_CHANGED, threshold: 3, sigs: [0, 4, 5] },
  ],
  '3-of-5-all-keys-rotated-with-intermediate-step': [
    { keys: FIVE, threshold: 3, sigs: [0, 2, 4] },
    { keys: [5, 6, 7, 8, 9], threshold: 3, sigs: [0, 2, 4, 5, 6, 7] },
    { keys: [5, 6, 7, 8, 9], threshold: 3, sigs: [5, 6, 7] },
  ],
  '1-of-3-threshold-increase-to-2-of-3': [
    { keys: [1, 2, 3], threshold: 1, sigs: [1] },
    { keys: [1, 2, 3], threshold: 2, sigs: [1, 2] },
  ],
  '2-of-3-threshold-decrease-to-1-of-3': [
    { keys: [1, 2, 3], threshold: 2, sigs: [1, 2] },
    { keys: [1, 2, 3], threshold: 1, sigs: [1, 2] },
    { keys: [1, 2, 3], threshold: 1, sigs: [1] },
  ],
  '1-of-2-threshold-increase-to-2-of-2': [
    { keys: [1], threshold: 1, sigs: [1] },
    { keys: [1, 2], threshold: 2, sigs: [1, 2] },
  ],
  '1-of-1-key-rotation-fail-not-signed-with-old-key': [
    { keys: [1], threshold: 1, sigs: [1] },
    { keys: [2], threshold: 1, sigs: [2, 3, 4], refused: true },
  ],
  '1-of-1-key-rotation-fail-not-signed-with-new-key': [
    { keys: [1], threshold: 1, sigs: [1] },
    { keys: [2], threshold: 1, sigs: [1, 3, 4], refused: true },
  ],
  '3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys': [
    { keys: FIVE, threshold: 3, sigs: [0, 2, 4] },
    { keys: FIVE_CHANGED, threshold: 3, sigs: [0, 2, 4], refused: true },
  ],
  '3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys': [
    { keys: FIVE, threshold: 3, sigs: [0, 2, 4] },
    { keys: FIVE_CHANGED, threshold: 3, sigs: [0, 4, 5], refused: true },
  ],
  '1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached': [
    { keys: [1, 2, 3], threshold: 1, sigs: [1] },
    { keys: [1, 2, 3], threshold: 2, sigs: [2], refused: true },
  ],
  '2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached': [
    { keys: [1, 2, 3], threshold: 2, sigs: [1, 2] },
    { keys: [1, 2, 3], threshold: 1, sigs: [1], refused: true },
  ],
};

const OTHERS: Readonly<Record<string, Version>> = {
  '1-of-1-key-rotation': { keys: [2], threshold: 1, sigs: [2] },
  '1-of-1-key-rotation-unused-signatures': { keys: [1], threshold: 1, sigs: [3, 1, 4] },
  '1-of-1-key-rotation-fail-not-signed-with-new-key': {
    keys: [2],
    threshold: 1,
    sigs: [1, 3, 4],
    refused: true,
  },
  '3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys': {
    keys: FIVE_CHANGED,
    threshold: 3,
    sigs: [0, 2, 4],
    refused: true,
  },
  '2-of-5-one-key-signature-mising-threshold-not-reached': {
    keys: FIVE_CHANGED,
    threshold: 3,
    sigs: [0, 4],
    refused: true,
  },
  '3-of-5-sign-first-combo': { keys: FIVE, threshold: 3, sigs: [0, 2, 4] },
  '3-of-5-sign-second-combo': { keys: FIVE, threshold: 3, sigs: [0, 4, 1] },
  '3-of-5-sign-third-combo': { keys: FIVE, threshold: 3, sigs: [0, 1, 3] },
  '3-of-5-sign-fourth-combo': { keys: FIVE, threshold: 3, sigs: [1, 2, 3] },
  '3-of-5-sign-fifth-combo': { keys: FIVE, threshold: 3, sigs: [2, 3, 4] },
};

const numbered = (numbers: readonly number[]) => numbers.map((number) => testSigner(`key ${number}`));

function setKeys(repository: ConformanceRepository, role: string, { keys, threshold, sigs }: Version): void {
  repository.setKeys(role, { keys: numbered(keys), threshold, signers: numbered(sigs) });
}

/** The reader has the first root, and is then given all of them. */
async function followRoots(versions: readonly Version[]): Promise<void> {
  const repository = await ConformanceRepository.create();
  repository.restart('root');
  for (const version of versions) {
    setKeys(repository, 'root', version);
    await repository.publish('root');
  }
  const first = repository.files.get('1.root.json');
  const client = new ConformanceClient(repository, first);
  if (versions.at(-1)?.refused) return client.refuses('tuf-threshold-not-met');
  expect(client.refresh().rootVersion).toBe(versions.length);
}

/** The reader has seen each root before, and is given them one by one. */
async function followRootsOneByOne(versions: readonly Version[]): Promise<void> {
  const repository = await ConformanceRepository.create();
  repository.restart('root');
  let client: ConformanceClient | undefined;
  for (const version of versions) {
    setKeys(repository, 'root', version);
    await repository.publish('root');
    client ??= new ConformanceClient(repository);
    if (version.refused) client.refuses('tuf-threshold-not-met');
    else client.refresh();
  }
  expect(client?.version('root')).toBe(versions.filter(({ refused }) => !refused).length);
}

conformance('test_updater_key_rotations', {
  ...eachCase('test_root_rotation', ROOTS, async (versions) => {
    await followRoots(versions);
    await followRootsOneByOne(versions);
  }),

  ...eachCase('test_non_root_rotations', OTHERS, async (version) => {
    for (const role of ['timestamp', 'snapshot', 'targets']) {
      const repository = await ConformanceRepository.create();
      const client = new ConformanceClient(repository);
      setKeys(repository, role, version);
      await repository.publish('root', 'targets', 'snapshot', 'timestamp');
      if (version.refused) client.refuses('tuf-threshold-not-met');
      else expect(client.refresh().roles.get(role)?.version).toBe(2);
    }
  }),
});
