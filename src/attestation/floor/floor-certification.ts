import { bytesEqual } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { shortHex } from '../../core/printable.ts';
import { type NvAttest, parseTpmsAttest } from '../../tpm/attest.ts';
import { computeName } from '../../tpm/name.ts';
import { isWritten, type NvPublic, parseTpm2bNvPublic, parseTpmsNvPublic } from '../../tpm/nv-public.ts';
import type { AttestationKey } from '../keys/attestation-key.ts';
import type { VerifiedQuote } from '../quote/quote.ts';
import { verifyAttestSignature } from '../quote/quote-signature.ts';
import { type Finding, Refusal } from '../reasons.ts';

/** The floor record as a node sends it, certified by TPM2_NV_Certify (Part 3, section 31.16). */
export interface UntrustedFloorCertificate {
  /** TPMS_ATTEST of type NV. */
  attest: Uint8Array;
  /** TPMT_SIGNATURE */
  signature: Uint8Array;
  /** The whole record. */
  contents: Uint8Array;
}

export interface UntrustedFloor extends UntrustedFloorCertificate {
  /** TPMS_NV_PUBLIC, bare or as TPM2B: of the index whose Name must have been certified. */
  nvPublic: Uint8Array;
}

/**
 * P7: the record counts only when the same AK certified it for the same challenge in the same power cycle,
 * and the index was written: an unwritten index cannot be certified, and its Name says so.
 */
export function checkFloorCertificate(
  untrusted: UntrustedFloor | undefined,
  context: { ak: AttestationKey; expectedExtraData: Uint8Array; quote: VerifiedQuote },
): Finding[] {
  if (untrusted === undefined) return [];
  try {
    verifyFloor(untrusted, context);
    return [];
  } catch (cause) {
    if (cause instanceof Refusal) return [cause.finding];
    throw cause;
  }
}

function verifyFloor(
  untrusted: UntrustedFloor,
  {
    ak,
    expectedExtraData,
    quote,
  }: { ak: AttestationKey; expectedExtraData: Uint8Array; quote: VerifiedQuote },
): void {
  const { nvPublic, certified } = decode(untrusted);
  if (!bytesEqual(certified.extraData, expectedExtraData))
    throw new Refusal(
      'floor-extra-data-mismatch',
      `floor: certified for extraData ${shortHex(certified.extraData)}, expected ${shortHex(expectedExtraData)}`,
    );
  verifySignature(ak, untrusted);
  if (!bytesEqual(computeName(nvPublic), certified.indexName))
    throw new Refusal(
      'floor-index-mismatch',
      `floor: NV index ${shortHex(computeName(nvPublic))} came, certified was ${shortHex(certified.indexName)}`,
    );
  if (!isWritten(nvPublic))
    throw new Refusal('floor-index-mismatch', 'floor: the NV index was never written');
  if (
    certified.offset !== 0 ||
    certified.contents.length !== nvPublic.dataSize ||
    !bytesEqual(certified.contents, untrusted.contents)
  )
    throw new Refusal(
      'floor-contents-mismatch',
      `floor: ${untrusted.contents.length} bytes came, which are not the ${nvPublic.dataSize} bytes of the index that had to be certified`,
    );
  const { resetCount, restartCount } = certified.clockInfo;
  if (resetCount !== quote.counters.resetCount || restartCount !== quote.counters.restartCount)
    throw new Refusal(
      'floor-session-mismatch',
      `floor: certified at TPM counters (${resetCount}, ${restartCount}), the quote is of (${quote.counters.resetCount}, ${quote.counters.restartCount})`,
    );
}

function decode(untrusted: UntrustedFloor): { nvPublic: NvPublic; certified: NvAttest } {
  try {
    const nvPublic = parseNvPublic(untrusted.nvPublic);
    const certified = parseTpmsAttest(untrusted.attest);
    if (certified.type !== 'nv') throw new TypeError('the attestation is not of type NV');
    return { nvPublic, certified };
  } catch (cause) {
    throw new Refusal('floor-malformed', `floor: ${messageOf(cause)}`, { cause });
  }
}

/** A bare structure begins with the handle type 0x01, so its length can never be what a TPM2B would say. */
function parseNvPublic(bytes: Uint8Array): NvPublic {
  const claimedSize = 256 * (bytes[0] ?? 0) + (bytes[1] ?? 0);
  return claimedSize === bytes.length - 2 ? parseTpm2bNvPublic(bytes) : parseTpmsNvPublic(bytes);
}

function verifySignature(ak: AttestationKey, untrusted: UntrustedFloor): void {
  try {
    verifyAttestSignature(ak, untrusted);
  } catch (cause) {
    throw new Refusal('floor-signature-invalid', `floor: ${messageOf(cause)}`, { cause });
  }
}
