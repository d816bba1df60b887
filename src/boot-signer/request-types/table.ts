import { METADATA_TYPE } from './metadata.ts';
import type { RequestType } from './request-type.ts';

/** All that can be signed here. */
const TYPES: ReadonlyMap<string, RequestType> = new Map([METADATA_TYPE].map((type) => [type.name, type]));

export function requestTypeOf(name: string): RequestType | undefined {
  return TYPES.get(name);
}
