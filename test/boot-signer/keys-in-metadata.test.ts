import { expect, it } from 'vitest';
import { METADATA_TYPE } from '../../src/boot-signer/request-types/metadata.ts';
import { createPrivateKeyFor, type TufKey, tufKeyOf } from '../../src/signing/public-key.ts';
import { composeRoot } from '../../src/signing/tuf/compose.ts';
import { canonicalOf } from './service-fixture.ts';

const NOW_MS = Date.parse('2026-11-21T12:00:00Z');
const newKey = (): TufKey => tufKeyOf(createPrivateKeyFor('ed25519'));

function judgeRoot(
  change: (
    roles: Record<'root' | 'targets' | 'snapshot' | 'timestamp', { keys: TufKey[]; threshold: number }>,
  ) => void,
) {
  const online = newKey();
  const roles = {
    root: { keys: [newKey(), newKey()], threshold: 2 },
    targets: { keys: [newKey()], threshold: 1 },
    snapshot: { keys: [online], threshold: 1 },
    timestamp: { keys: [online], threshold: 1 },
  };
  change(roles);
  const signed = composeRoot({ version: 1, expiresMs: NOW_MS + 3_600_000 }, roles, [newKey()]);
  return METADATA_TYPE.judge({
    policy: { role: 'root', keys: [], maxExpiryMs: 86_400_000, approvals: 0, people: [] },
    untrustedText: Buffer.from(canonicalOf(signed)).toString('latin1'),
    last: undefined,
    lastOf: () => undefined,
    nowMs: NOW_MS,
    folders: { images: '/nowhere' },
  });
}

it('a root with sensible keys is signed', () => {
  expect(judgeRoot(() => {})).toMatchObject({ version: 1 });
});

it('a root with a key in PEM, whose lines the canonical form has as they are, is signed', () => {
  const pem = tufKeyOf(createPrivateKeyFor('ecdsa-sha2-nistp256'));
  expect(judgeRoot((roles) => roles.root.keys.push(pem))).toMatchObject({ version: 1 });
});

it.each<[string, Parameters<typeof judgeRoot>[0]]>([
  ['a threshold of 0', (roles) => Object.assign(roles.root, { threshold: 0 })],
  ['a threshold that cannot be met', (roles) => Object.assign(roles.root, { threshold: 3 })],
  ['an online key as a root key', (roles) => roles.root.keys.push(...roles.timestamp.keys)],
])('no root with %s is signed', (_what, change) => {
  expect(() => judgeRoot(change)).toThrow(expect.objectContaining({ code: 'metadata-refused' }));
});
