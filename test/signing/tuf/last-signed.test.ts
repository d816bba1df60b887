import { expect, it } from 'vitest';
import { createKeyRoleSigner } from '../../../src/signing/role-signer.ts';
import { finishProposal } from '../../../src/signing/tuf/finish-proposal.ts';
import { MAX_STEP, parseLastSigned } from '../../../src/signing/tuf/last-signed.ts';
import { EXPIRY, NOW_MS, SIGNERS, TestRepository } from './tuf-fixture.ts';

/** A refresh with local keys beside a signing service that says this. */
async function refreshAfter(last: Readonly<Record<string, number>>) {
  const repository = await TestRepository.create();
  const current = repository.verified();
  let asked = 0;
  const change = finishProposal({
    current,
    signer: createKeyRoleSigner([...SIGNERS.snapshot, ...SIGNERS.timestamp]),
    onlineExpiresMs: EXPIRY.onlineMs,
    nowMs: NOW_MS,
    lastSigned: async () => {
      asked += 1;
      return new Map(
        Object.entries(last).map(([role, ahead]) => [
          role,
          current[role as 'snapshot' | 'timestamp'].version + ahead,
        ]),
      );
    },
  });
  const names = (await change).map(({ name }) => name);
  return { names, asked, version: current.snapshot.version };
}

it('goes on after what a signing service has signed, and asks it once', async () => {
  const { names, asked, version } = await refreshAfter({ snapshot: MAX_STEP, timestamp: 1 });
  expect(names).toEqual([`${version + MAX_STEP + 1}.snapshot.json`, 'timestamp.json']);
  expect(asked).toBe(1);
});

it.each(['snapshot', 'timestamp'])('S7 a signing service that lies runs no %s ahead', async (role) => {
  await expect(refreshAfter({ [role]: MAX_STEP + 1 })).rejects.toMatchObject({
    code: 'tuf-version-ahead',
    message: expect.stringMatching(new RegExp(`${role}.*more than ${MAX_STEP} ahead`)),
  });
});

it('what a signing service says it has signed has a version for every role', () => {
  expect(parseLastSigned({ snapshot: { version: 3, sha256: 'aa' } })).toEqual(new Map([['snapshot', 3]]));
  for (const answer of [undefined, [], { snapshot: 3 }, { snapshot: {} }, { snapshot: { version: 1.5 } }])
    expect(() => parseLastSigned(answer)).toThrow(/lastSigned/);
});
