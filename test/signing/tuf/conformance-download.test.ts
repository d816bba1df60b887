import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { type ArtifactReference, referenceOf } from '../../../src/signing/artifact.ts';
import { readStoredArtifact } from '../../../src/signing/repository/artifact-folder.ts';
import { artifactFile, layoutOf, type RepositoryLayout } from '../../../src/signing/repository/layout.ts';
import { ConformanceClient, ConformanceRepository } from './conformance-repository.ts';
import { conformance } from './conformance-suite.ts';
import { type Flippable, STAGE0 } from './tuf-fixture.ts';

let repository: ConformanceRepository;
let client: ConformanceClient;
let layout: RepositoryLayout;

beforeEach(async () => {
  repository = await ConformanceRepository.create();
  client = new ConformanceClient(repository);
  layout = layoutOf(mkdtempSync(join(tmpdir(), 'bootward-conformance-')));
  mkdirSync(layout.artifacts);
});
afterEach(() => rmSync(layout.folder, { recursive: true }));

const CONTENT = asciiBytes('target file contents');
const MALICIOUS = asciiBytes('malicious data - should not download');

/** Lists the bytes as a release of channel demo, and serves them. */
async function addArtifact(version: number, bytes: Uint8Array): Promise<void> {
  list(version, bytes, { sha256: referenceOf(bytes).sha256 });
  serve(referenceOf(bytes), bytes);
  await publish('channel-demo');
}

function list(version: number, bytes: Uint8Array, hashes: Flippable): void {
  const custom = { version, architecture: 'x86-64', name: `release ${version}` };
  repository.signed('channel-demo').targets[`channels/demo/${version}.json`] = {
    length: bytes.length,
    hashes,
    custom,
  };
}

/** Whatever these bytes are, they are found where the listed ones should be. */
function serve({ sha256 }: ArtifactReference, bytes: Uint8Array): void {
  writeFileSync(artifactFile(layout, sha256), bytes);
}

const publish = (role: string): Promise<void> => repository.publish(role, 'snapshot', 'timestamp');

async function download(version: number): Promise<string> {
  const listing = client
    .refresh()
    .channels.get('demo')
    ?.find((release) => release.version === version);
  if (listing === undefined) throw new Error(`release ${version} is not listed`);
  return Buffer.from(await readStoredArtifact(layout, listing)).toString();
}

async function refusesDownload(version: number, cause: string): Promise<void> {
  const refusal = { code: 'artifact-damaged', cause: expect.objectContaining({ code: cause }) };
  await expect(download(version)).rejects.toMatchObject(refusal);
}

async function refusesHashes(hashes: Flippable): Promise<void> {
  list(1, CONTENT, hashes);
  serve(referenceOf(CONTENT), CONTENT);
  await publish('channel-demo');
  client.refuses('tuf-metadata-invalid');
}

conformance('test_file_download', {
  test_client_downloads_expected_file: async () => {
    await addArtifact(1, CONTENT);
    expect(await download(1)).toBe('target file contents');
  },

  test_client_downloads_expected_file_in_sub_dir: async () => {
    const { target, sha256, length, authenticodeSha256, pcr11, build, architecture } = STAGE0;
    const custom = { build, architecture, authenticodeSha256, pcr11 };
    repository.signed('stage0').targets[target] = { length, hashes: { sha256 }, custom };
    serve(STAGE0, asciiBytes('stage-0 image'));
    await publish('stage0');
    const [listing = STAGE0] = client.refresh().stage0Builds;
    expect(Buffer.from(await readStoredArtifact(layout, listing)).toString()).toBe('stage-0 image');
  },

  test_repository_substitutes_target_file: async () => {
    const other = asciiBytes('content');
    await addArtifact(1, CONTENT);
    await addArtifact(2, other);
    expect(await download(1)).toBe('target file contents');
    serve(referenceOf(CONTENT), MALICIOUS);
    serve(referenceOf(other), MALICIOUS);
    await refusesDownload(1, 'artifact-length-mismatch');
    await refusesDownload(2, 'artifact-length-mismatch');
    serve(referenceOf(other), asciiBytes('CONTENT'));
    await refusesDownload(2, 'artifact-hash-mismatch');
  },

  test_multiple_changes_to_target: async () => {
    for (let round = 0; round < 11; round += 1) {
      const changed = asciiBytes(`modified file contents ${round}`);
      await addArtifact(1, changed);
      await addArtifact(round + 2, asciiBytes(`new file contents ${round}`));
      if (round % 5 !== 0) continue;
      expect(await download(1)).toBe(`modified file contents ${round}`);
      expect(await download(round + 2)).toBe(`new file contents ${round}`);
      serve(referenceOf(changed), asciiBytes(`malicious contents ${round}`));
      await publish('channel-demo');
      await refusesDownload(1, 'artifact-length-mismatch');
    }
  },

  'test_download_with_hash_algorithms[hashes0]': async () => {
    list(1, CONTENT, { sha256: referenceOf(CONTENT).sha256 });
    serve(referenceOf(CONTENT), CONTENT);
    await publish('channel-demo');
    expect(await download(1)).toBe('target file contents');
  },

  'test_download_with_hash_algorithms[hashes1]': () => refusesHashes({ sha512: 'ab'.repeat(64) }),

  'test_download_with_hash_algorithms[hashes2]': () =>
    refusesHashes({ sha256: referenceOf(CONTENT).sha256, sha512: 'ab'.repeat(64) }),

  test_download_with_unknown_hash_algorithm: () => refusesHashes({ 'unknown-hash': 'ab'.repeat(64) }),
});
