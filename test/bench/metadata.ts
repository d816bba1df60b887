import { verifyRepository } from '../../src/signing/tuf/verify-repository.ts';
import { NOW_MS, TestRepository } from '../signing/tuf/tuf-fixture.ts';
import { type Measurement, median } from './bench-process.ts';

const ROUNDS = 15;
const REPEATS = 40;

/**
 * What stands between a published release and trust in it: root, timestamp, snapshot, targets, the stage-0 role and the
 * channel, each parsed strictly, held against the one above it and against its keys. CPU time of one core.
 */
export async function benchMetadata(): Promise<Measurement[]> {
  const repository = await TestRepository.create();
  const input = { trustedRoot: repository.trustedRoot, files: repository.files, nowMs: NOW_MS };
  verifyRepository(input);
  const milliseconds = median(Array.from({ length: ROUNDS }, () => measure(() => verifyRepository(input))));
  return [
    {
      name: 'the whole metadata chain of a release verified, ms',
      value: milliseconds.toFixed(2),
      aim: '≤ 2',
    },
  ];
}

function measure(work: () => unknown): number {
  const before = process.cpuUsage();
  for (let repeat = 0; repeat < REPEATS; repeat += 1) work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / REPEATS;
}

if (import.meta.main) console.table(await benchMetadata());
