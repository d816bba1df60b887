import { type PredictedStage0Pcrs, predictStage0Pcrs } from '../../attestation/policy/stage0-reference.ts';
import { innerKernelSha256 } from '../../signing/efi/inner-kernel.ts';
import { measureUki, type UkiMeasurement } from '../../signing/efi/uki-measurement.ts';

/** What booting an image leaves in PCR 4 and 11, from its bytes alone; signed or not makes no difference. */
export function predictPcrs(
  image: Uint8Array,
  measured: UkiMeasurement = measureUki(image),
): PredictedStage0Pcrs {
  const innerKernelAuthenticodeSha256 = innerKernelSha256(image);
  return predictStage0Pcrs({
    ...measured,
    ...(innerKernelAuthenticodeSha256 === undefined ? {} : { innerKernelAuthenticodeSha256 }),
  });
}
