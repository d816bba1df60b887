import { stat } from 'node:fs/promises';
import {
  type FloorApprovals,
  signFloorApprovals,
  verifyFloorApprovals,
} from '../../attestation/floor/floor-approval.ts';
import type { PredictedStage0Pcrs } from '../../attestation/policy/stage0-reference.ts';
import { loadKeyFile } from '../../signing/keys/key-file.ts';
import type { TufKey } from '../../signing/public-key.ts';
import { FLOOR_KEY, keyFile, type RepositoryLayout } from '../../signing/repository/layout.ts';
import { type FloorSettings, floorSettingsOf, floorSpkiOf } from './floor-settings.ts';
import type { OpenKeys } from './key-access.ts';
import { UsageError } from './usage-error.ts';

/** The key that lets a stage-0 write the floor: its public half is known before it is opened. */
export interface FloorKey {
  /** SubjectPublicKeyInfo in base64, as it is listed. */
  readonly spki: string;
  /** What is baked into a stage-0 by it. */
  readonly settings: FloorSettings;
  /** For an image that leaves these values; checked before it is believed, for tokens and hooks sign as they like. */
  approve(pcrs: PredictedStage0Pcrs): Promise<FloorApprovals>;
}

/**
 * What is named, or else what the folder has.
 *
 * @returns undefined where neither is: that stage-0 keeps no floor
 * @throws {UsageError} for a key of another kind than P-256
 */
export async function findFloorKey(
  layout: RepositoryLayout,
  { named, open }: { named: string | undefined; open: OpenKeys['open'] },
): Promise<FloorKey | undefined> {
  if (named !== undefined) {
    const signer = await open(named);
    return createFloorKey(signer.key, async () => signer);
  }
  const path = keyFile(layout, FLOOR_KEY);
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined;
  return createFloorKey((await loadKeyFile(path)).key, () => open(path));
}

function createFloorKey(key: TufKey, open: () => ReturnType<OpenKeys['open']>): FloorKey {
  if (key.scheme !== 'ecdsa-sha2-nistp256')
    throw new UsageError(
      `the floor key is for ${key.scheme}: nodes take ecdsa-sha2-nistp256 only, as "boot-sign new-key --scheme" makes it`,
    );
  const spki = floorSpkiOf(key);
  return {
    spki,
    settings: floorSettingsOf(key),
    async approve(pcrs) {
      const signer = await open();
      const floorApprovals = await signFloorApprovals(pcrs, (message) => signer.sign(message));
      verifyFloorApprovals({ floorKey: spki, floorApprovals }, pcrs);
      return floorApprovals;
    },
  };
}
