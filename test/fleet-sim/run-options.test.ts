import { expect, test } from 'vitest';
import { type RunOptions, toAddress, toCount, toMixture } from '../../src/fleet-sim/run-options.ts';

const TYPED: RunOptions = {
  url: 'https://boot.example:8444',
  ca: 'ca.pem',
  stage0: 'stage0.efi',
  build: '1',
  bad: '0',
  badWay: 'comes-back,silent',
  offline: '0',
  slow: '0',
  slowSeconds: '5',
  concurrency: '16',
  waves: '1',
  restSeconds: '0',
  seconds: '300',
};

test('a share is a count or a percentage of the nodes, rounded up', () => {
  const mixture = toMixture({ ...TYPED, bad: '5%', badOn: '2,3', offline: '4', slow: '1%' }, 150);
  expect(mixture).toEqual({
    nodes: 150,
    bad: { nodes: 8, versions: [2, 3], ways: ['comes-back', 'silent'] },
    offline: 4,
    slow: { nodes: 2, seconds: 5 },
  });
});

test.each<[string, Partial<RunOptions>, RegExp]>([
  ['more nodes than chips', { nodes: '11' }, /--nodes: expected 1 to 10, found "11"/],
  ['no number', { slow: 'some' }, /--slow: expected 0 to 10, found "some"/],
  ['bad on nothing', { bad: '1' }, /--bad-on: say which versions/],
  ['an unknown way', { bad: '1', badOn: '2', badWay: 'burns' }, /--bad-way: expected some of comes-back/],
  ['more than all', { offline: '60%', slow: '50%' }, /more bad, offline and slow nodes than nodes/],
])('refused: %s', (_what, changes, message) => {
  expect(() => toMixture({ ...TYPED, ...changes }, 10)).toThrow(message);
});

test('a count is bounded', () => {
  expect(toCount('seconds', '3600', { from: 1, to: 3600 })).toBe(3600);
  for (const text of ['0', '3601', '-1', '1e3', '', '99999999'])
    expect(() => toCount('seconds', text, { from: 1, to: 3600 })).toThrow(/--seconds/);
});

test('the address of the agents door', () => {
  expect(toAddress('https://boot.example:8444')).toEqual({ host: 'boot.example', port: 8444 });
  expect(toAddress('https://[::1]:8444')).toEqual({ host: '::1', port: 8444 });
  for (const url of ['http://boot.example', 'boot.example', 'https://boot.example/v1'])
    expect(() => toAddress(url)).toThrow(/--url/);
});
