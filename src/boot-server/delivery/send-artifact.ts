import type { Readable } from 'node:stream';
import type { ArtifactHandle } from '../../storage/artifact-store.ts';
import { Problem } from '../problems.ts';
import { type RequestedPart, selectPart } from './requested-part.ts';
import { SliceStream } from './slice-stream.ts';
import { SLICE_BYTES, type VerifiedSlices } from './verified-slices.ts';

/** What sending needs of a request and its reply, on any door and any HTTP version. */
export interface DownloadRequest {
  method: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface DownloadReply {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(payload?: Readable): unknown;
}

export interface SentArtifact {
  /** Taken over: it is closed when the answer is out, whatever becomes of it. */
  artifact: ArtifactHandle;
  /** Firmware decides by the exact type; anything else is bytes. */
  contentType: 'application/efi' | 'application/octet-stream';
  /**
   * `by-hash`: the address names the content, which never changes and is not for shared caches.
   * `by-name`: what lies there changes with releases, so caches ask again each time (ETag).
   */
  naming: 'by-hash' | 'by-name';
  /** Told of bytes that go out. */
  countSentBytes?: (bytes: number) => void;
}

const CACHE_CONTROL = {
  'by-hash': 'private, max-age=31536000, immutable',
  'by-name': 'no-cache',
} as const;

/**
 * Answers GET or HEAD with an artifact: exact Content-Length, its SHA-256 as strong ETag, one range,
 * conditions, no redirect and no content coding. A file found altered before the answer begins is a
 * problem `artifact-damaged`; later it breaks off the connection.
 *
 * HEAD reads nothing but the file's length. Register the route for both methods.
 */
export async function sendArtifact(
  slices: VerifiedSlices,
  request: DownloadRequest,
  reply: DownloadReply,
  sent: SentArtifact,
): Promise<unknown> {
  const { artifact } = sent;
  let stream: Readable | undefined;
  try {
    const part = requestedPart(request, artifact);
    const bounds = boundsOf(part, artifact.length);
    if (bounds !== undefined && request.method !== 'HEAD') stream = await openStream(slices, sent, bounds);
    reply.code(statusOf(part));
    reply.headers(headersOf(sent, part));
  } finally {
    if (stream === undefined) await artifact.file.close();
  }
  return reply.send(stream);
}

type AnsweredPart = Extract<RequestedPart, { kind: 'whole' | 'part' | 'not-modified' }>;

function requestedPart({ method, headers }: DownloadRequest, artifact: ArtifactHandle): AnsweredPart {
  const single = (name: string): string | undefined => headers[name]?.toString();
  const part = selectPart(
    {
      method,
      ifMatch: single('if-match'),
      ifNoneMatch: single('if-none-match'),
      ifRange: single('if-range'),
      range: single('range'),
    },
    { etag: etagOf(artifact), length: artifact.length },
  );
  if (part.kind === 'precondition-failed')
    throw new Problem(
      'precondition-failed',
      'the artifact here has another hash now: start again without If-Match',
    );
  if (part.kind === 'unsatisfiable')
    throw new Problem('range-not-satisfiable', `the artifact has ${artifact.length} bytes`, {
      headers: { 'content-range': `bytes */${artifact.length}` },
    });
  return part;
}

interface Bounds {
  first: number;
  last: number;
}

function boundsOf(part: AnsweredPart, length: number): Bounds | undefined {
  if (part.kind === 'not-modified') return undefined;
  if (part.kind === 'whole') return { first: 0, last: length - 1 };
  return { first: part.first, last: part.last };
}

/** Reads the first slice before anything is answered, so that a damaged file still gets a proper refusal. */
async function openStream(
  slices: VerifiedSlices,
  { artifact, countSentBytes }: SentArtifact,
  bounds: Bounds,
): Promise<Readable> {
  await slices.prepare(artifact);
  if (bounds.first <= bounds.last) await slices.read(artifact, Math.floor(bounds.first / SLICE_BYTES));
  return new SliceStream({
    ...bounds,
    read: (number) => slices.read(artifact, number),
    close: () => artifact.file.close(),
    ...(countSentBytes && { count: countSentBytes }),
  });
}

function statusOf(part: AnsweredPart): number {
  return { whole: 200, part: 206, 'not-modified': 304 }[part.kind];
}

function headersOf(
  { artifact, contentType, naming }: SentArtifact,
  part: AnsweredPart,
): Record<string, string> {
  const validators = { etag: etagOf(artifact), 'cache-control': CACHE_CONTROL[naming] };
  if (part.kind === 'not-modified') return validators;
  const common = { ...validators, 'accept-ranges': 'bytes', 'content-type': contentType };
  if (part.kind === 'whole') return { ...common, 'content-length': String(artifact.length) };
  const { first, last } = part;
  return {
    ...common,
    'content-length': String(last - first + 1),
    'content-range': `bytes ${first}-${last}/${artifact.length}`,
  };
}

function etagOf({ sha256 }: ArtifactHandle): string {
  return `"${sha256}"`;
}
