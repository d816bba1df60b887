import { innerKernelSha256 } from './inner-kernel.ts';
import { measureUki, type UkiMeasurement } from './uki-measurement.ts';

/** All that is measured of a stage-0 image, whatever the state of Secure Boot. */
export interface Stage0Measurement extends UkiMeasurement {
  /** Undefined where nobody can say: see {@link innerKernelSha256}. */
  innerKernelAuthenticodeSha256?: Uint8Array;
}

/** From the bytes alone; signed or not makes no difference. @throws {EfiError} */
export function measureStage0(
  image: Uint8Array,
  measured: UkiMeasurement = measureUki(image),
): Stage0Measurement {
  const innerKernelAuthenticodeSha256 = innerKernelSha256(image);
  return {
    ...measured,
    ...(innerKernelAuthenticodeSha256 !== undefined && { innerKernelAuthenticodeSha256 }),
  };
}
