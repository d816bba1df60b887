import { bytesEqual, fromBase64 } from '../../core/bytes.ts';
import { parseTpmsAttest } from '../../tpm/attest.ts';
import { computeName } from '../../tpm/name.ts';
import { parseTpmsNvPublic } from '../../tpm/nv-public.ts';
import type { UntrustedFloor, UntrustedFloorCertificate } from './floor-certification.ts';
import { type FloorIndexForm, floorIndexPublic } from './floor-index.ts';
import { floorKeyNameOf } from './floor-key.ts';

/**
 * The public area that a certified record must be of: built from what was ever listed, never taken from the node. Of several
 * keys the one is chosen that fits; where none does, the first, whose Name then differs.
 *
 * @param floorKeys base64, of every stage-0 build that is known: read as keys when they were published. A withdrawn build
 *   starts nothing any more, but what it started runs on.
 * @returns undefined where no build keeps a floor: there is no record that could be told from somebody's own
 */
export function pinFloorIndex(
  untrusted: UntrustedFloorCertificate,
  { floorKeys, form }: { floorKeys: readonly string[]; form: FloorIndexForm },
): UntrustedFloor | undefined {
  const areas = [...new Set(floorKeys)].map((key) => floorIndexPublic(floorKeyNameOf(fromBase64(key)), form));
  const claimedName = claimedIndexName(untrusted.attest);
  const fitting = areas.find((area) => claimedName && bytesEqual(nameOf(area), claimedName));
  const nvPublic = fitting ?? areas[0];
  return nvPublic && { ...untrusted, nvPublic };
}

function nameOf(area: Uint8Array): Uint8Array {
  return computeName(parseTpmsNvPublic(area));
}

/** What cannot be read is refused where it is judged. */
function claimedIndexName(untrustedAttest: Uint8Array): Uint8Array | undefined {
  try {
    const attest = parseTpmsAttest(untrustedAttest);
    return attest.type === 'nv' ? attest.indexName : undefined;
  } catch {
    return undefined;
  }
}
