import { asciiBytes, sha256 } from '../../core/bytes.ts';

const CONTEXT = asciiBytes('bootward evidence v1\0');

/**
 * What a quote must carry as extraData (docs/protocol.md, "Claims"): it binds what was asked and what the
 * node says to one signature. Both hashes have a fixed length, so no two pairs share an input.
 */
export function computeExtraData(input: { challenge: Uint8Array; claims: Uint8Array }): Uint8Array {
  return sha256(CONTEXT, sha256(input.challenge), sha256(input.claims));
}
