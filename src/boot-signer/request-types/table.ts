import { isImageType } from '../image-documents.ts';
import { EFI_IMAGE_TYPE, PI_BOOT_IMAGE_TYPE } from './images.ts';
import { METADATA_TYPE } from './metadata.ts';
import type { RequestType } from './request-type.ts';

/** All that can be signed here. */
const TYPES: ReadonlyMap<string, RequestType> = new Map(
  [METADATA_TYPE, EFI_IMAGE_TYPE, PI_BOOT_IMAGE_TYPE].map((type) => [type.name, type]),
);

/** Each role has one type: a key that signs images signs no metadata, whatever it is called. */
export function requestTypeOf(name: string, role: string): RequestType | undefined {
  return name === (isImageType(role) ? role : METADATA_TYPE.name) ? TYPES.get(name) : undefined;
}
