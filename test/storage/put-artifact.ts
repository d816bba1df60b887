// Run by artifact-store-full.test.ts as a process of its own, under a file size limit or on a full disk.
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createArtifactStore } from '../../src/storage/artifact-store.ts';

const [folder = '', length = '0'] = process.argv.slice(2);
const bytes = Buffer.alloc(Number(length), 7);
const sha256 = createHash('sha256').update(bytes).digest('hex');
const store = await createArtifactStore({ folder });
const outcome = await store
  .put({ sha256, length: bytes.length, source: Readable.from([bytes]) })
  .catch((cause: { code: string }) => cause.code);
const left = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
  entry.isFile(),
);
process.stdout.write(JSON.stringify({ outcome, left: left.map((entry) => entry.name) }));
