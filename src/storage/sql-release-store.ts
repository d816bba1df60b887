import type { ReleaseStore } from '../releases/release-store.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';

/** {@link ReleaseStore} on SQL. */
export function createSqlReleaseStore(database: Database): ReleaseStore {
  return {
    async loadMetadata() {
      const rows = await database.selectFrom('metadata_files').selectAll().orderBy('name').execute();
      if (rows.length === 0) return undefined;
      return {
        files: rows.map(({ name, bytes }) => ({ name, bytes })),
        publishedAtSeconds: Math.max(...rows.map((row) => row.published_at)),
      };
    },

    async loadStage0Images() {
      const rows = await database.selectFrom('stage0_images').selectAll().orderBy('build').execute();
      return rows.map((row) => ({
        sha256: row.sha256,
        build: row.build,
        architecture: row.architecture,
        pcr4SecureBoot: row.pcr4_secure_boot,
        ...(row.pcr4_no_secure_boot !== null && { pcr4NoSecureBoot: row.pcr4_no_secure_boot }),
        pcr11: row.pcr11,
        ...(row.withdrawn_at !== null && { withdrawnAtSeconds: row.withdrawn_at }),
        ...(row.floor_key !== null && { floorKey: row.floor_key }),
      }));
    },

    async loadKeptRoots() {
      return database.selectFrom('kept_roots').select(['name', 'bytes']).orderBy('name').execute();
    },

    async keepRoots({ files, atSeconds }) {
      await database.transaction().execute(async (tx) => {
        for (const { name, bytes } of files)
          await tx
            .insertInto('kept_roots')
            .values({ name, bytes, kept_at: atSeconds })
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        const detail = { files: files.map((file) => file.name) };
        await insertAuditEvent(tx, { atSeconds, kind: 'roots-kept', subject: 'repository', detail });
      });
    },

    async publish({ files, stage0Images, listedStage0, floorKeys, atSeconds }) {
      await database.transaction().execute(async (tx) => {
        for (const { name, bytes } of files)
          await tx
            .insertInto('metadata_files')
            .values({ name, bytes, published_at: atSeconds })
            .onConflict((conflict) => conflict.column('name').doUpdateSet({ bytes, published_at: atSeconds }))
            .execute();
        await tx.deleteFrom('kept_roots').execute();
        for (const image of stage0Images)
          await tx
            .insertInto('stage0_images')
            .values({
              sha256: image.sha256,
              build: image.build,
              architecture: image.architecture,
              pcr4_secure_boot: image.pcr4SecureBoot,
              pcr4_no_secure_boot: image.pcr4NoSecureBoot ?? null,
              pcr11: image.pcr11,
            })
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        for (const [sha256, floor_key] of floorKeys)
          await tx.updateTable('stage0_images').set({ floor_key }).where('sha256', '=', sha256).execute();
        await markWithdrawn(tx, listedStage0, atSeconds);
        await insertAuditEvent(tx, {
          atSeconds,
          kind: 'metadata-published',
          subject: 'repository',
          detail: { files: files.map((file) => file.name) },
        });
      });
    },
  };
}

async function markWithdrawn(
  tx: DatabaseTransaction,
  listed: readonly string[],
  atSeconds: number,
): Promise<void> {
  await tx.updateTable('stage0_images').set({ withdrawn_at: null }).where('sha256', 'in', listed).execute();
  await tx
    .updateTable('stage0_images')
    .set({ withdrawn_at: atSeconds })
    .where('sha256', 'not in', listed)
    .where('withdrawn_at', 'is', null)
    .execute();
}
