import { canonicalize } from '@tufjs/canonical-json';
import { beforeEach, describe, expect, it } from 'vitest';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import { stage0Target } from '../../../src/signing/names.ts';
import { createKeyRoleSigner } from '../../../src/signing/role-signer.ts';
import type { Signer } from '../../../src/signing/signer.ts';
import { describeProposal } from '../../../src/signing/tuf/describe-proposal.ts';
import { createDraft } from '../../../src/signing/tuf/draft.ts';
import { addKey, removeKey, replaceKey, setThreshold } from '../../../src/signing/tuf/edit-trust.ts';
import { finishProposal } from '../../../src/signing/tuf/finish-proposal.ts';
import {
  authoritiesOf,
  encodeProposal,
  mergeProposals,
  missingIn,
  type Proposal,
  parseProposal,
  signProposal,
} from '../../../src/signing/tuf/proposal.ts';
import { verifyBase } from '../../../src/signing/tuf/proposal-base.ts';
import {
  proposeRelease,
  proposeStage0,
  proposeTrust,
  proposeWithdrawal,
  type Trust,
  trustOf,
} from '../../../src/signing/tuf/propose.ts';
import type { TrustedMetadata } from '../../../src/signing/tuf/verify-metadata.ts';
import {
  EXPIRY,
  type Flippable,
  listingOf,
  MANIFEST,
  SIGNERS,
  STAGE0,
  TestRepository,
  testSigner,
} from './tuf-fixture.ts';

const RELEASE_2 = listingOf({ ...MANIFEST, version: 2, name: 'demo release 2' });
const ALICE = testSigner('alice');
const BOB = testSigner('bob');
const ONLINE = [...SIGNERS.snapshot, ...SIGNERS.timestamp];

let repository: TestRepository;
let current: TrustedMetadata;

beforeEach(async () => {
  repository = await TestRepository.create();
  current = repository.verified();
});

/** Channel demo by both alice and bob, and by its first key no longer. */
async function twoForDemo(): Promise<void> {
  const [first] = SIGNERS.channels.get('demo') as [Signer];
  const edit = (trust: Trust) =>
    setThreshold(
      removeKey(
        addKey(addKey(trust, 'channel-demo', ALICE.key), 'channel-demo', BOB.key),
        'channel-demo',
        first.keyId,
      ),
      'channel-demo',
      2,
    );
  await putInForce(proposeTrust(current, edit(trustOf(current)), EXPIRY.offlineMs), [
    ...SIGNERS.targets,
    ALICE,
    BOB,
  ]);
}

async function putInForce(proposal: Proposal, signers: readonly Signer[]): Promise<void> {
  const signer = createKeyRoleSigner([...signers, ...ONLINE]);
  const signed = await signProposal(proposal, authoritiesOf(proposal, current), signer);
  repository.apply(
    await finishProposal({ current, proposal: signed, signer, onlineExpiresMs: EXPIRY.onlineMs, nowMs: 0 }),
  );
  current = repository.verified();
}

const sign = (proposal: Proposal, ...signers: Signer[]) =>
  signProposal(proposal, authoritiesOf(proposal, current), createKeyRoleSigner(signers));
const missing = (proposal: Proposal) => missingIn(proposal, authoritiesOf(proposal, current));
const finish = (proposal: Proposal) =>
  finishProposal({
    current,
    proposal,
    signer: createKeyRoleSigner(ONLINE),
    onlineExpiresMs: EXPIRY.onlineMs,
    nowMs: 0,
  });
const targetsOfStage0 = () =>
  current.delegated.find(({ delegation }) => delegation.kind === 'stage0')?.metadata.targets ?? {};
const proposeRelease2 = () => proposeRelease(current, RELEASE_2, EXPIRY.offlineMs);

describe('a proposal', () => {
  it('is read back as it was written, and tells who may sign to whoever has a root', async () => {
    await twoForDemo();
    const proposal = await sign(proposeRelease2(), ALICE);
    const read = parseProposal(encodeProposal(proposal));
    expect(encodeProposal(read)).toEqual(encodeProposal(proposal));
    expect(missingIn(read, authoritiesOf(read, verifyBase(read, repository.trustedRoot)))).toEqual([
      { role: 'channel-demo', version: 4, count: 1, keyIds: [BOB.keyId] },
    ]);
  });

  it('S3 comes into force with the threshold and not before', async () => {
    await twoForDemo();
    const one = await sign(proposeRelease2(), ALICE);
    await expect(finish(one)).rejects.toMatchObject({ code: 'tuf-threshold-not-met' });
    expect(missing(await sign(one, ALICE))).toHaveLength(1);
    repository.apply(await finish(await sign(one, BOB)));
    expect(repository.verified().delegated[0]?.metadata.targets).toHaveProperty(['channels/demo/2.json']);
  });

  it('S2 is not signed by a key of another role', async () => {
    await twoForDemo();
    const proposal = await sign(proposeRelease2(), ...SIGNERS.stage0, ...SIGNERS.root, ...ONLINE);
    expect(proposal.drafts[0]?.signatures.size).toBe(0);
  });

  it('takes no signature that does not verify', async () => {
    await twoForDemo();
    const liar = { ...ALICE, sign: async () => new Uint8Array(64) };
    await expect(sign(proposeRelease2(), liar)).rejects.toMatchObject({ code: 'tuf-signature-invalid' });
  });

  it('that others have overtaken has to be made again', async () => {
    const proposal = await sign(proposeRelease2(), ...(SIGNERS.channels.get('demo') ?? []));
    const target = { role: 'channel-demo', target: 'channels/demo/1.json' };
    await putInForce(
      proposeWithdrawal(current, target, EXPIRY.offlineMs),
      SIGNERS.channels.get('demo') ?? [],
    );
    await expect(finish(proposal)).rejects.toMatchObject({ code: 'tuf-proposal-outdated' });
  });

  it('says what whoever signs it says', async () => {
    const proposal = proposeRelease2();
    expect(describeProposal(proposal, current).join('\n')).toMatch(
      /^channel-demo version 3, good until .*\n {2}lists channels\/demo\/2\.json "demo release 2", SHA-256 [0-9a-f]{64}, \d+ bytes, version 2, architecture x86-64$/,
    );
    const withdrawal = proposeWithdrawal(
      current,
      { role: 'channel-demo', target: 'channels/demo/1.json' },
      EXPIRY.offlineMs,
    );
    expect(describeProposal(withdrawal, current)[1]).toBe(
      '  withdraws channels/demo/1.json "demo release 1"',
    );
    const [root] = SIGNERS.root as [Signer];
    const rotated = replaceKey(trustOf(current), root.keyId, ALICE.key);
    expect(describeProposal(proposeTrust(current, rotated, EXPIRY.offlineMs), current)[1]).toBe(
      `  root: 1 of 1 keys (was 1 of 1), adds ${ALICE.keyId}, removes ${root.keyId}`,
    );
  });

  it('warns when it changes what a listed build measures, though its image stays', () => {
    const stage0 = { role: 'stage0', target: Object.keys(targetsOfStage0())[0] ?? '' };
    const [draft] = proposeWithdrawal(current, stage0, EXPIRY.offlineMs).drafts as [Proposal['drafts'][0]];
    const targets = JSON.parse(JSON.stringify(targetsOfStage0())) as Flippable;
    targets[stage0.target].custom.pcr11 = '00'.repeat(32);
    const changed = { ...draft, signed: { ...draft.signed, targets } };
    const proposal = proposeWithdrawal(current, stage0, EXPIRY.offlineMs);
    expect(describeProposal({ ...proposal, drafts: [changed] }, current)).toContain(
      `  CHANGES ${stage0.target}, which is listed already`,
    );
    expect(describeProposal({ ...proposal, drafts: [changed] }, current).join('\n')).toMatch(
      /\n {4}from, .*pcr11 (?:bb){32}\n {4}to, .*pcr11 (?:00){32}$/,
    );
  });

  it('shows what a new build measures, and for what it is', () => {
    const build = { ...STAGE0, build: 8, target: stage0Target('x86-64', 8) };
    expect(describeProposal(proposeStage0(current, build, EXPIRY.offlineMs), current)[1]).toBe(
      `  lists stage0/x86-64-8.efi, SHA-256 ${STAGE0.sha256}, ${STAGE0.length} bytes, build 8, ` +
        `architecture x86-64, authenticodeSha256 ${'aa'.repeat(32)}, pcr11 ${'bb'.repeat(32)}`,
    );
  });

  it('shows a key of a kind that is not known here', () => {
    const proposal = proposeTrust(
      current,
      replaceKey(trustOf(current), SIGNERS.root[0]?.keyId ?? '', ALICE.key),
      EXPIRY.offlineMs,
    );
    const [draft] = proposal.drafts as [Proposal['drafts'][0]];
    const signed = JSON.parse(JSON.stringify(draft.signed)) as Flippable;
    const key = { keytype: 'later', scheme: 'later', keyval: { public: 'aa' } };
    const keyId = toHex(sha256(asciiBytes(canonicalize(key))));
    signed.keys[keyId] = key;
    signed.roles.root.keyids.push(keyId);
    const shown = describeProposal({ drafts: [createDraft('root', signed)] }, current).join('\n');
    expect(shown).toContain(`adds ${keyId}`);
  });

  it('warns when it changes what is listed already', () => {
    const proposal = proposeRelease2();
    const [draft] = proposal.drafts as [Proposal['drafts'][0]];
    const signed = JSON.parse(JSON.stringify(draft.signed)) as Flippable;
    signed.targets['channels/demo/1.json'].hashes.sha256 = '00'.repeat(32);
    const changed = { ...proposal, drafts: [{ ...draft, signed }] };
    expect(describeProposal(changed, current)).toContain(
      '  CHANGES channels/demo/1.json, which is listed already',
    );
  });
});

describe('merging', () => {
  it('takes the signatures of both, in any order', async () => {
    await twoForDemo();
    const proposal = proposeRelease2();
    const [byAlice, byBob] = [await sign(proposal, ALICE), await sign(proposal, BOB)];
    const known = authoritiesOf(proposal, current);
    expect(missing(mergeProposals(byAlice, byBob, known))).toEqual([]);
    expect(missing(mergeProposals(byBob, byAlice, known))).toEqual([]);
  });

  it('takes no signature that is altered, by a stranger, or by another role', async () => {
    await twoForDemo();
    const proposal = proposeRelease2();
    const [draft] = proposal.drafts as [Proposal['drafts'][0]];
    const stranger = testSigner('stranger');
    const signatures = new Map([
      [ALICE.keyId, toHex(await BOB.sign(draft.canonical))],
      [BOB.keyId, '00'],
      [stranger.keyId, toHex(await stranger.sign(draft.canonical))],
    ]);
    const copy = { ...proposal, drafts: [{ ...draft, signatures }] };
    const merged = mergeProposals(proposal, copy, authoritiesOf(proposal, current));
    expect(merged.drafts[0]?.signatures.size).toBe(0);
  });

  it('refuses a copy that says something else, or more', async () => {
    await twoForDemo();
    const proposal = proposeRelease2();
    const other = proposeRelease(current, { ...RELEASE_2, sha256: '00'.repeat(32) }, EXPIRY.offlineMs);
    const withdrawal = proposeWithdrawal(
      current,
      { role: 'channel-demo', target: 'channels/demo/1.json' },
      EXPIRY.offlineMs,
    );
    const more = { ...proposal, drafts: [...proposal.drafts, ...withdrawal.drafts] };
    for (const copy of [other, withdrawal, more])
      expect(() => mergeProposals(proposal, copy, authoritiesOf(proposal, current))).toThrow(
        expect.objectContaining({ code: 'tuf-proposal-invalid' }),
      );
  });
});

describe('a file that is no proposal', () => {
  const document = (change: (document: Flippable) => void) => {
    const copy = JSON.parse(Buffer.from(encodeProposal(proposeRelease2())).toString()) as Flippable;
    change(copy);
    return asciiBytes(JSON.stringify(copy));
  };

  it.each<[string, (document: Flippable) => void]>([
    ['another format', (file) => Object.assign(file, { format: 'bootward-proposal-v2' })],
    ['a name that leads elsewhere', (file) => Object.assign(file, { name: '../../etc/passwd' })],
    ['no files', (file) => Object.assign(file, { files: [] })],
    ['files that are no list', (file) => Object.assign(file, { files: {} })],
    ['no base', (file) => delete file.base],
    ['a base of another kind', (file) => Object.assign(file, { base: [] })],
    [
      'a base with a name that leads elsewhere',
      (file) => Object.assign(file.base, { '../1.root.json': '{}' }),
    ],
    ['a base that is no text', (file) => Object.assign(file.base, { 'timestamp.json': {} })],
    ['a base that drives a terminal', (file) => Object.assign(file.base, { 'timestamp.json': '\u001b[2J' })],
    ['one role twice', (file) => file.files.push(file.files[0])],
    [
      'a channel that delegates',
      (file) => Object.assign(file.files[0].metadata.signed, { delegations: { keys: {}, roles: [] } }),
    ],
    ['a role with a name of its own', (file) => Object.assign(file.files[0], { role: 'other\u001b[2J' })],
    ['a snapshot', (file) => Object.assign(file.files[0], { role: 'snapshot' })],
    ['a file of another type than its role', (file) => Object.assign(file.files[0], { role: 'root' })],
    [
      'a member that nobody reads',
      (file) => Object.assign(file.files[0].metadata.signed, { 'x-more': { allow: 'all' } }),
    ],
    [
      'a target with a member that nobody reads',
      (file) => Object.assign(file.files[0].metadata.signed.targets['channels/demo/2.json'], { also: 1 }),
    ],
    ['metadata that is no object', (file) => Object.assign(file.files[0], { metadata: [] })],
    [
      'a signature twice',
      (file) =>
        Object.assign(file.files[0].metadata, { signatures: Array(2).fill({ keyid: 'a', sig: 'b' }) }),
    ],
  ])('is refused for %s', (_, change) => {
    expect(() => parseProposal(document(change))).toThrow(/proposal|channel-demo|root/);
  });

  it('is refused when it is cut short anywhere', () => {
    const whole = encodeProposal(proposeRelease2());
    for (let length = 0; length < whole.length - 1; length += 97)
      expect(() => parseProposal(whole.subarray(0, length))).toThrow();
  });
});

describe('who may sign what', () => {
  const trust = () => trustOf(current);

  it('needs a root that both the old and the new keys signed', async () => {
    const [root] = SIGNERS.root as [Signer];
    const proposal = proposeTrust(current, replaceKey(trust(), root.keyId, ALICE.key), EXPIRY.offlineMs);
    expect(missing(await sign(proposal, ALICE)).map(({ keyIds }) => keyIds)).toEqual([[root.keyId]]);
    expect(missing(await sign(proposal, root)).map(({ keyIds }) => keyIds)).toEqual([[ALICE.keyId]]);
    expect(missing(await sign(proposal, root, ALICE))).toEqual([]);
  });

  it('signs again, by its new keys, every role whose keys change', async () => {
    const [targets] = SIGNERS.targets as [Signer];
    const proposal = proposeTrust(current, replaceKey(trust(), targets.keyId, ALICE.key), EXPIRY.offlineMs);
    expect(proposal.drafts.map(({ role, version }) => `${role} ${version}`)).toEqual(['root 2', 'targets 2']);
    await putInForce(proposal, [...SIGNERS.root, ALICE]);
    expect(current.root.rules.targets.keyIds).toEqual([ALICE.keyId]);
  });

  it.each<[string, (trust: Trust) => Trust]>([
    [
      'a key that the role has already',
      (trust) => addKey(trust, 'targets', SIGNERS.targets[0]?.key as never),
    ],
    ['a key that is not there', (trust) => removeKey(trust, 'targets', ALICE.keyId)],
    ['a role without a key', (trust) => removeKey(trust, 'targets', SIGNERS.targets[0]?.keyId ?? '')],
    ['more signatures than keys', (trust) => setThreshold(trust, 'targets', 2)],
    ['no signature', (trust) => setThreshold(trust, 'targets', 0)],
    ['half a signature', (trust) => setThreshold(trust, 'targets', 0.5)],
    ['another role’s key', (trust) => addKey(trust, 'channel-demo', SIGNERS.stage0[0]?.key as never)],
    ['a key that no role has', (trust) => replaceKey(trust, ALICE.keyId, BOB.key)],
  ])('S4 is never %s', (_, edit) => {
    expect(() => proposeTrust(current, edit(trust()), EXPIRY.offlineMs)).toThrow(
      expect.objectContaining({ code: 'tuf-keys-refused' }),
    );
  });
});
