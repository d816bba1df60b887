import { createPublicKey } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { floorApprovalMessage } from '../../src/attestation/floor/floor-index.ts';
import { predictStage0Pcrs } from '../../src/attestation/policy/stage0-reference.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { measureUki } from '../../src/signing/efi/uki-measurement.ts';
import { LabError } from '../lab-error.ts';
import type { World } from '../world.ts';

interface Stage0Target {
  hashes: { sha256: string };
  custom: { floorKey: string; floorApprovals: { secureBoot: string } };
}

/** What the listed stage-0 writes its floor with. All of it is public, so root of a running system has it, too. */
export async function loadAttackersTools(world: World): Promise<Record<string, Uint8Array>> {
  const { hashes, custom } = await readListedStage0(world);
  const image = await readFile(join(world.repository, 'artifacts', hashes.sha256));
  const { pcr4SecureBoot, pcr11 } = predictStage0Pcrs(measureUki(image));
  const key = createPublicKey({ key: Buffer.from(custom.floorKey, 'base64'), format: 'der', type: 'spki' });
  return {
    'attack-key.pem': Buffer.from(key.export({ type: 'spki', format: 'pem' })),
    'attack-approval': fromHex(custom.floorApprovals.secureBoot),
    'attack-message': floorApprovalMessage({ pcr4: pcr4SecureBoot, pcr11 }),
  };
}

async function readListedStage0(world: World): Promise<Stage0Target> {
  const folder = join(world.repository, 'metadata');
  const name =
    (await readdir(folder))
      .filter((file) => file.endsWith('.stage0.json'))
      .sort()
      .at(-1) ?? '';
  const { signed } = JSON.parse(await readFile(join(folder, name), 'utf8')) as {
    signed: { targets: Record<string, Stage0Target> };
  };
  const [target] = Object.values(signed.targets);
  if (target === undefined) throw new LabError('command-failed', `${name} lists no stage-0`);
  return target;
}
