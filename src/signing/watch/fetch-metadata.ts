import { request } from 'node:https';
import { CodedError, messageOf } from '../../core/errors.ts';
import { invalid } from '../tuf/envelope.ts';
import { MAX_METADATA_BYTES, MAX_ROOT_ROTATIONS } from '../tuf/limits.ts';
import { parseSnapshot, parseTimestamp } from '../tuf/meta-files.ts';
import { parseRoot, rootFile } from '../tuf/root.ts';

/** There is no whole answer: nothing is known of what is served. */
export class DoorUnreachableError extends CodedError<'door-unreachable'> {}

/** The bytes of a file as they are served; undefined when the door says that there is no such file. */
export type FetchFile = (file: string, maxBytes: number) => Promise<Uint8Array | undefined>;

/** What a snapshot may make us ask for. */
const MAX_FILES = 512;
const MAX_ROLE_FILE = /^[a-z0-9-]{1,80}\.json$/;

/**
 * Every file that a client would want (specification 1.0, section 5), found by what the files themselves say.
 * Nothing of it is verified: that is for `verifyMetadata`.
 *
 * @throws {DoorUnreachableError}
 * @throws {TufError} what was served is no metadata at all
 */
export async function fetchMetadata(
  trustedRoot: Uint8Array,
  fetchFile: FetchFile,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const take = async (file: string, maxBytes: number): Promise<Uint8Array | undefined> => {
    const bytes = await fetchFile(file, maxBytes);
    if (bytes !== undefined) files.set(file, bytes);
    return bytes;
  };
  const first = parseRoot(trustedRoot).version + 1;
  for (let version = first; version < first + MAX_ROOT_ROTATIONS; version += 1)
    if ((await take(rootFile(version), MAX_METADATA_BYTES.root)) === undefined) break;
  const timestamp = await take('timestamp.json', MAX_METADATA_BYTES.timestamp);
  if (timestamp === undefined)
    throw new DoorUnreachableError('door-unreachable', 'no timestamp is served: nothing was published');
  const { version } = parseTimestamp(timestamp).snapshot;
  const snapshot = await take(`${version}.snapshot.json`, MAX_METADATA_BYTES.snapshot);
  if (snapshot !== undefined) await takeRoles(snapshot, take);
  return files;
}

async function takeRoles(snapshot: Uint8Array, take: FetchFile): Promise<void> {
  const { meta } = parseSnapshot(snapshot);
  if (meta.size > MAX_FILES) invalid(`snapshot names more than ${MAX_FILES} files`);
  for (const [file, { version }] of meta) {
    if (!MAX_ROLE_FILE.test(file)) invalid('snapshot names a file that is none of a role');
    await take(`${version}.${file}`, MAX_METADATA_BYTES.delegated);
  }
}

/**
 * From the agents' door: `GET <url>/v1/tuf/<file>`. No redirect is followed. Each file has `timeoutMs` from
 * its first byte asked to its last one read.
 *
 * @param door.ca PEM; the system's CAs without it
 */
export function createDoorFetch(door: { url: URL; ca?: string; timeoutMs: number }): FetchFile {
  return (file, maxBytes) => get(new URL(`/v1/tuf/${file}`, door.url), { ...door, maxBytes });
}

function get(
  url: URL,
  { ca, timeoutMs, maxBytes }: { ca?: string; timeoutMs: number; maxBytes: number },
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(new DoorUnreachableError('door-unreachable', `${url.host}: ${messageOf(cause)}`, { cause }));
    const signal = AbortSignal.timeout(timeoutMs);
    const outgoing = request(url, { agent: false, signal, ...(ca !== undefined && { ca }) });
    outgoing.once('error', (cause) => fail(signal.aborted ? new Error('no answer in time') : cause));
    outgoing.once('response', (response) => {
      const { statusCode = 0 } = response;
      if (statusCode !== 200) {
        response.destroy();
        if (statusCode === 404) resolve(undefined);
        else fail(new Error(`HTTP status ${statusCode} for ${url.pathname}`));
        return;
      }
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length > maxBytes) outgoing.destroy(new Error(`${url.pathname} has more than ${maxBytes} bytes`));
      });
      response.once('error', fail);
      response.once('aborted', () => fail(new Error('the answer broke off')));
      response.once('end', () => resolve(Buffer.concat(chunks)));
    });
    outgoing.end();
  });
}
