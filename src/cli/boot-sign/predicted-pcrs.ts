import { type PredictedStage0Pcrs, predictStage0Pcrs } from '../../attestation/policy/stage0-reference.ts';
import { measureStage0 } from '../../signing/efi/stage0-measurements.ts';
import type { UkiMeasurement } from '../../signing/efi/uki-measurement.ts';

/** What booting an image leaves in PCR 4 and 11, from its bytes alone; signed or not makes no difference. */
export function predictPcrs(image: Uint8Array, measured?: UkiMeasurement): PredictedStage0Pcrs {
  return predictStage0Pcrs(measureStage0(image, measured));
}
