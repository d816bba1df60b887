import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { takeInodeLock } from '../../src/core/inode-lock.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const closed = (lock: Awaited<ReturnType<typeof takeInodeLock>>) =>
  new Promise((resolve) => (lock === undefined ? resolve(undefined) : lock.close(resolve)));

it('a lock is had once, and again when it was given back', async () => {
  const inode = await stat(await temporaryFolder());
  const lock = await takeInodeLock('test', inode);
  expect(lock).toBeDefined();
  expect(await takeInodeLock('test', inode)).toBeUndefined();
  await closed(lock);
  const again = await takeInodeLock('test', inode);
  expect(again).toBeDefined();
  await closed(again);
});

it('another purpose and another folder have a lock of their own', async () => {
  const [one, other] = [await stat(await temporaryFolder()), await stat(await temporaryFolder())];
  const locks = [
    await takeInodeLock('test', one),
    await takeInodeLock('test-other', one),
    await takeInodeLock('test', other),
  ];
  expect(locks).not.toContain(undefined);
  await Promise.all(locks.map(closed));
});

it('who connects to it is sent away', async () => {
  const inode = await stat(await temporaryFolder());
  const lock = await takeInodeLock('test', inode);
  const guest = connect({ path: `\0bootward-test-${inode.dev}-${inode.ino}` }).resume();
  await new Promise((resolve) => guest.once('close', resolve));
  await closed(lock);
});
