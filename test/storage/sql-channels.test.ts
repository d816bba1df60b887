import { StatementSync } from 'node:sqlite';
import { expect, onTestFinished, test, vi } from 'vitest';
import { boot, openChannelStore } from './channel-fixture.ts';

/** Every row that the database gives out from here on. */
function watchRows(): unknown[] {
  const rows: unknown[] = [];
  const { all } = StatementSync.prototype;
  const spy = vi.spyOn(StatementSync.prototype, 'all').mockImplementation(function (
    this: StatementSync,
    ...parameters: unknown[]
  ) {
    const found = Reflect.apply(all, this, parameters);
    rows.push(...found);
    return found;
  });
  onTestFinished(() => spy.mockRestore());
  return rows;
}

test('histories are read without the reports, which are long', async () => {
  const { channels } = await openChannelStore(['a', 'b']);
  await boot(channels, { nodeId: 'a', releaseDigest: 'r1', said: 'x'.repeat(16_384) });
  const rows = watchRows();
  const histories = await channels.listHistories('demo');
  expect(histories).toEqual([await channels.findHistory('a'), await channels.findHistory('b')]);
  expect(histories[0]?.releases.get('r1')).toMatchObject({ version: 1, lastBoot: { outcome: 'healthy' } });
  expect(JSON.stringify(rows)).not.toContain('xxx');
});

test('the last words of all nodes of a rollout are one query, and short', async () => {
  const { channels } = await openChannelStore(['a', 'b', 'c', 'd']);
  const release = { releaseDigest: 'r2', rolloutId: 'one', atSeconds: 7 };
  await boot(channels, { nodeId: 'a', ...release, said: `${'ü'.repeat(600)}the end` });
  await boot(channels, { nodeId: 'b', ...release, said: 'short' });
  await boot(channels, { nodeId: 'c', ...release });
  await boot(channels, { nodeId: 'd', ...release, rolloutId: 'an earlier one', said: 'no part of it' });
  const query = { rollout: { id: 'one', releaseDigest: 'r2' }, maxCharacters: 500 };
  expect(await channels.listReportEnds(query)).toEqual(
    new Map([
      ['a', { text: `${'ü'.repeat(493)}the end`, atSeconds: 7 }],
      ['b', { text: 'short', atSeconds: 7 }],
    ]),
  );
  expect((await channels.listReports('a')).get('r2')?.text).toHaveLength(607);
});
