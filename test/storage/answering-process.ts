// A second server on the same database file: answers one challenge several times and prints what it heard.
import { openDatabase } from '../../src/storage/database.ts';
import { createSqlAttestationStore } from '../../src/storage/sql-attestation-store.ts';

const [file = '', challengeSha256 = '', times = '1'] = process.argv.slice(2);
const database = await openDatabase(file);
const store = createSqlAttestationStore(database);
const outcomes: string[] = [];
for (let index = 0; index < Number(times); index += 1)
  outcomes.push(
    await store.commitVerdict({
      challengeSha256,
      verdict: {
        akName: 'ak1',
        nodeId: 'n1',
        purpose: 'boot',
        verdict: 'accept',
        reasons: [],
        notes: [],
        atSeconds: 1010,
      },
    }),
  );
await database.destroy();
process.stdout.write(outcomes.join('\n'));
