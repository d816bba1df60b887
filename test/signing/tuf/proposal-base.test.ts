import { beforeEach, describe, expect, it } from 'vitest';
import { createKeyRoleSigner } from '../../../src/signing/role-signer.ts';
import type { Signer } from '../../../src/signing/signer.ts';
import { describeProposal } from '../../../src/signing/tuf/describe-proposal.ts';
import { addKey, replaceKey } from '../../../src/signing/tuf/edit-trust.ts';
import { finishProposal, requireNext } from '../../../src/signing/tuf/finish-proposal.ts';
import { authoritiesOf, type Proposal, signProposal } from '../../../src/signing/tuf/proposal.ts';
import { claimedBase, verifyBase } from '../../../src/signing/tuf/proposal-base.ts';
import {
  proposeRelease,
  proposeRepository,
  proposeTrust,
  trustOf,
} from '../../../src/signing/tuf/propose.ts';
import {
  EXPIRY,
  listingOf,
  MANIFEST,
  NOW_MS,
  SIGNERS,
  signDocument,
  TestRepository,
  testSigner,
} from './tuf-fixture.ts';

// Whoever signs a proposal has a root that they trust and the file, which says what was in force before.

const RELEASE_2 = listingOf({ ...MANIFEST, version: 2, name: 'demo release 2' });
const MALLORY = testSigner('mallory');
const ROOTS = [...SIGNERS.root, testSigner('root-2'), testSigner('root-3')];

let repository: TestRepository;

beforeEach(async () => {
  repository = await TestRepository.create();
});

async function putInForce(proposal: Proposal, signers: readonly Signer[]): Promise<void> {
  const current = repository.verified();
  const signer = createKeyRoleSigner([...signers, ...SIGNERS.snapshot, ...SIGNERS.timestamp]);
  const signed = await signProposal(proposal, authoritiesOf(proposal, current), signer);
  repository.apply(
    await finishProposal({
      current,
      proposal: signed,
      signer,
      onlineExpiresMs: EXPIRY.onlineMs,
      nowMs: NOW_MS,
    }),
  );
}

/** Root 2 has another key, and root 3 another one again. */
async function rotateTwice(): Promise<void> {
  for (const [index, next] of ROOTS.slice(1).entries()) {
    const current = repository.verified();
    const edited = replaceKey(trustOf(current), ROOTS[index]?.keyId ?? '', next.key);
    await putInForce(proposeTrust(current, edited, EXPIRY.offlineMs), ROOTS);
  }
}

const proposeRelease2 = () => proposeRelease(repository.verified(), RELEASE_2, EXPIRY.offlineMs);
const withBase = (proposal: Proposal, files: Record<string, Uint8Array>): Proposal => ({
  ...proposal,
  base: new Map([...proposal.base, ...Object.entries(files)]),
});

describe('what a proposal says was in force', () => {
  it.each([1, 2, 3])('is verified from root %i, whichever the signer holds', async (version) => {
    await rotateTwice();
    const verified = verifyBase(proposeRelease2(), repository.bytes(`${version}.root.json`));
    expect(verified.root.version).toBe(3);
    expect(verified.delegated.map(({ metadata }) => metadata.role)).toEqual(['channel-demo']);
  });

  it('S1 is refused when a root is signed by its own keys and not by those before', async () => {
    await rotateTwice();
    const { signed } = repository.document('2.root.json');
    signed.roles.root.keyids = [MALLORY.keyId];
    signed.keys[MALLORY.keyId] = MALLORY.key;
    const forged = withBase(proposeRelease2(), { '2.root.json': await signDocument(signed, [MALLORY]) });
    expect(() => verifyBase(forged, repository.trustedRoot)).toThrow(
      expect.objectContaining({ code: 'tuf-threshold-not-met' }),
    );
  });

  it.each([
    ['targets', '1.targets.json'],
    ['the role that it replaces', '2.channel-demo.json'],
    ['snapshot', '3.snapshot.json'],
    ['timestamp', 'timestamp.json'],
  ])('S1 is refused when somebody else signed %s', async (_, name) => {
    const forged = await signDocument(repository.document(name).signed, [MALLORY]);
    const proposal = withBase(proposeRelease2(), { [name]: forged });
    expect(() => verifyBase(proposal, repository.trustedRoot)).toThrow(
      /does not follow from the trusted root/,
    );
  });

  it.each(['1.targets.json', '2.channel-demo.json', '3.snapshot.json', 'timestamp.json'])(
    'is refused without %s',
    (name) => {
      const proposal = proposeRelease2();
      const base = new Map([...proposal.base].filter(([file]) => file !== name));
      expect(() => verifyBase({ ...proposal, base }, repository.trustedRoot)).toThrow(
        expect.objectContaining({ code: 'tuf-file-missing' }),
      );
    },
  );

  it('is refused when the role is an older one than the snapshot lists', () => {
    const old = withBase(proposeRelease2(), {
      '2.channel-demo.json': repository.bytes('1.channel-demo.json'),
    });
    expect(() => verifyBase(old, repository.trustedRoot)).toThrow(/length|hash|version|bytes/);
  });

  it('is what the signer’s own root says, not the root of the same version in the file', async () => {
    const current = repository.verified();
    const proposal = proposeTrust(current, addKey(trustOf(current), 'root', MALLORY.key), EXPIRY.offlineMs);
    const [draft] = proposal.drafts as [Proposal['drafts'][0]];
    const taken = await signDocument({ ...draft.signed, version: 1 }, [MALLORY]);
    const forged = withBase(proposal, { '1.root.json': taken });
    expect(describeProposal(forged, claimedBase(forged))).toContain('  says the same as before');
    const [, change] = describeProposal(forged, verifyBase(forged, repository.trustedRoot));
    expect(change).toBe(`  root: 1 of 2 keys (was 1 of 1), adds ${MALLORY.keyId}`);
  });

  it('of a new repository is nothing: no root proves that', () => {
    const proposal = proposeRepository(trustOf(repository.verified()), EXPIRY.offlineMs);
    expect(claimedBase(proposal)).toBeUndefined();
    expect(() => verifyBase(proposal, repository.trustedRoot)).toThrow(/does not follow/);
  });

  it('S5 makes every file of a proposal the next version of its role', async () => {
    const proposal = proposeRelease2();
    const [draft] = proposal.drafts as [Proposal['drafts'][0]];
    const current = verifyBase(proposal, repository.trustedRoot);
    expect(() => requireNext(proposal, current)).not.toThrow();
    for (const version of [draft.version - 1, draft.version + 1])
      expect(() => requireNext({ drafts: [{ ...draft, version }] }, current)).toThrow(
        expect.objectContaining({ code: 'tuf-proposal-outdated' }),
      );
  });
});
