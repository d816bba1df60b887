import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes } from '../../../src/core/bytes.ts';
import { createKeyRoleSigner } from '../../../src/signing/role-signer.ts';
import { addKey, replaceKey } from '../../../src/signing/tuf/edit-trust.ts';
import { finishProposal } from '../../../src/signing/tuf/finish-proposal.ts';
import { authoritiesOf, type Proposal, signProposal } from '../../../src/signing/tuf/proposal.ts';
import { proposeRelease, proposeRepository, type Trust, trustOf } from '../../../src/signing/tuf/propose.ts';
import {
  firstSignedTogetherSha256,
  requireExpected,
  signedTogetherSha256,
} from '../../../src/signing/tuf/signed-together.ts';
import { EXPIRY, listingOf, MANIFEST, NOW_MS, SIGNERS, TestRepository, testSigner } from './tuf-fixture.ts';

// People compare one hash before they sign, and nothing else vouches for a first root.

const MALLORY = testSigner('mallory');
const ALL = createKeyRoleSigner([
  ...[...SIGNERS.root, ...SIGNERS.targets, ...SIGNERS.snapshot, ...SIGNERS.timestamp, ...SIGNERS.stage0],
  ...[...SIGNERS.channels.values()].flat(),
]);

let honest: Trust;
let first: Proposal;

beforeAll(async () => {
  honest = trustOf((await TestRepository.create()).verified());
  first = propose(honest);
});

const propose = (trust: Trust) => proposeRepository(trust, EXPIRY.offlineMs);
const digestOf = ({ drafts }: Pick<Proposal, 'drafts'>) => signedTogetherSha256(drafts);
const fileOf = ({ drafts }: Proposal, role: string) => {
  const draft = drafts.find((one) => one.role === role);
  if (draft === undefined) throw new Error(`no ${role} in the proposal`);
  return draft;
};

async function putInForce(repository: TestRepository, proposal: Proposal): Promise<void> {
  const current = repository.files.size === 0 ? undefined : repository.verified();
  const signed = await signProposal(proposal, authoritiesOf(proposal, current), ALL);
  const times = { onlineExpiresMs: EXPIRY.onlineMs, nowMs: NOW_MS };
  repository.apply(await finishProposal({ current, proposal: signed, signer: ALL, ...times }));
}

describe('the hash of all that is signed together', () => {
  it('is over role, version, length and content of every file, by the order of their roles', () => {
    const hash = createHash('sha256').update('bootward-signed-together-v1 5\n');
    for (const role of ['channel-demo', 'channel-pi-stable', 'root', 'stage0', 'targets']) {
      const { canonical } = fileOf(first, role);
      hash.update(`${role} 1 ${canonical.length}\n`).update(canonical);
    }
    expect(digestOf(first)).toBe(hash.digest('hex'));
  });

  it.each(['stage0', 'channel-demo'])(
    'S1 is another one when the root is the same and %s has a key of the composer',
    (role) => {
      const cheating = propose(addKey(honest, role, MALLORY.key));
      expect(fileOf(cheating, 'root').canonical).toEqual(fileOf(first, 'root').canonical);
      expect(digestOf(cheating)).not.toBe(digestOf(first));
    },
  );

  it.each(['snapshot', 'timestamp'] as const)(
    'S1 is another one when %s is signed by another key',
    (role) => {
      const cheating = propose(replaceKey(honest, SIGNERS[role][0]?.keyId ?? '', MALLORY.key));
      expect(fileOf(cheating, 'targets').canonical).toEqual(fileOf(first, 'targets').canonical);
      expect(digestOf(cheating)).not.toBe(digestOf(first));
    },
  );

  it('is another one for any file more, less, of another version or with other content', () => {
    const { drafts } = first;
    const [one, ...rest] = drafts as [Proposal['drafts'][0], ...Proposal['drafts']];
    const others = [
      rest,
      [...drafts, { ...one, role: 'channel-extra' }],
      [{ ...one, version: 2 }, ...rest],
      [{ ...one, role: 'channel-other' }, ...rest],
      [{ ...one, canonical: concatBytes(one.canonical, asciiBytes(' ')) }, ...rest],
    ];
    const digests = [drafts, ...others].map(signedTogetherSha256);
    expect(new Set(digests).size).toBe(others.length + 1);
  });

  it('is another one when bytes go from the end of one file to the start of the next', () => {
    const files = (one: string, two: string) => [
      { role: 'channel-a', version: 1, canonical: asciiBytes(one) },
      { role: 'channel-b', version: 1, canonical: asciiBytes(two) },
    ];
    const next = 'channel-b 1 2\n';
    expect(signedTogetherSha256(files('x', 'yz'))).not.toBe(signedTogetherSha256(files('xy', 'z')));
    expect(signedTogetherSha256(files(`x${next}`, 'yz'))).not.toBe(
      signedTogetherSha256(files('x', `${next}yz`)),
    );
  });

  it('is the same whatever order a file has them in, and whoever has signed', async () => {
    const signed = await signProposal(first, authoritiesOf(first, undefined), ALL);
    expect(digestOf(signed)).toBe(digestOf(first));
    expect(digestOf({ drafts: signed.drafts.toReversed() })).toBe(digestOf(first));
  });
});

describe('a proposal that somebody has looked at', () => {
  it('is the one that they expect, and no other', () => {
    expect(() => requireExpected(first, digestOf(first))).not.toThrow();
    const other = propose(addKey(honest, 'channel-demo', MALLORY.key));
    expect(() => requireExpected(other, digestOf(first))).toThrow(
      expect.objectContaining({ code: 'tuf-proposal-unexpected' }),
    );
  });

  it('is known again when it is in force, until something else is signed', async () => {
    const repository = new TestRepository();
    await putInForce(repository, first);
    expect(firstSignedTogetherSha256(repository.verified())).toBe(digestOf(first));
    const release = listingOf(MANIFEST);
    await putInForce(repository, proposeRelease(repository.verified(), release, EXPIRY.offlineMs));
    expect(firstSignedTogetherSha256(repository.verified())).toBeUndefined();
  });
});
