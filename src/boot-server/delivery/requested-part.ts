/** What a request asks for of an artifact, decided from its headers alone (RFC 9110). */
export type RequestedPart =
  | { kind: 'whole' }
  | { kind: 'part'; first: number; last: number }
  | { kind: 'not-modified' }
  | { kind: 'precondition-failed' }
  | { kind: 'unsatisfiable' };

export interface ArtifactRequest {
  method: string;
  ifMatch: string | undefined;
  ifNoneMatch: string | undefined;
  ifRange: string | undefined;
  range: string | undefined;
}

/** `first` and `last` are inclusive; `last` below `first` cannot happen. */
export interface Representation {
  /** Strong, with its quotes. */
  etag: string;
  length: number;
}

/**
 * RFC 9110 section 13.2.2 in its order: If-Match, If-None-Match, then Range if If-Range allows it.
 *
 * Ranges: exactly one is honoured. A list of several, another unit and anything that does not parse are
 * ignored as section 14.2 allows, so the answer is the whole artifact once, whatever was asked: no
 * request makes the server send more bytes than the artifact has, or multipart bodies.
 */
export function selectPart(request: ArtifactRequest, { etag, length }: Representation): RequestedPart {
  if (request.ifMatch !== undefined && !lists(request.ifMatch, etag)) return { kind: 'precondition-failed' };
  if (request.ifNoneMatch !== undefined && lists(request.ifNoneMatch.replaceAll('W/"', '"'), etag))
    return { kind: 'not-modified' };
  if (request.method !== 'GET' || request.range === undefined) return { kind: 'whole' };
  // A weak tag, a date or another version: the client has a part of something else (section 13.1.5).
  if (request.ifRange !== undefined && request.ifRange.trim() !== etag) return { kind: 'whole' };
  return rangeOf(request.range, length);
}

/** Our tags are hashes: no comma or quote in them, so splitting is exact. */
function lists(header: string, etag: string): boolean {
  return header.split(',').some((item) => item.trim() === etag || item.trim() === '*');
}

/** At most 15 digits: exact as a number, and past any file. */
const SINGLE_RANGE = /^bytes=(?:(?<first>[0-9]{1,15})-(?<last>[0-9]{1,15})?|-(?<suffix>[0-9]{1,15}))$/i;

function rangeOf(header: string, length: number): RequestedPart {
  const groups = SINGLE_RANGE.exec(header.trim())?.groups;
  if (groups === undefined) return { kind: 'whole' };
  if (groups.suffix !== undefined) return suffixOf(Number(groups.suffix), length);
  const first = Number(groups.first);
  const last = groups.last === undefined ? length - 1 : Number(groups.last);
  if (groups.last !== undefined && last < first) return { kind: 'whole' };
  if (first >= length) return { kind: 'unsatisfiable' };
  return { kind: 'part', first, last: Math.min(last, length - 1) };
}

function suffixOf(count: number, length: number): RequestedPart {
  if (count === 0 || length === 0) return { kind: 'unsatisfiable' };
  return { kind: 'part', first: Math.max(0, length - count), last: length - 1 };
}
