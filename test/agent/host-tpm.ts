import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Cleanup } from '../../lab/cleanup.ts';
import { createSoftwareTpm, startTpmForTools, type TpmManufacturer } from '../../lab/software-tpm.ts';

/** A software TPM with a certified EK, and power over it. */
export interface HostTpm {
  /** For TPM2TOOLS_TCTI. */
  readonly tcti: string;
  /** What power does: PCRs to zero, the reset count up by one. */
  reset(): void;
  extend(pcr: number, digestHex: string): void;
  pcr(index: number): string;
  run(...command: string[]): string;
}

export async function startHostTpm(
  { manufacturer, folder }: { manufacturer: TpmManufacturer; folder: string },
  cleanup: Cleanup,
): Promise<HostTpm> {
  const chip = await createSoftwareTpm(manufacturer, join(folder, 'chip'));
  const { tcti, controlSocket } = await startTpmForTools(chip, folder, cleanup);
  const run = (...command: string[]): string =>
    execFileSync('tpm2', command, {
      env: { ...process.env, TPM2TOOLS_TCTI: tcti },
      encoding: 'latin1',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    tcti,
    run,
    reset() {
      execFileSync('swtpm_ioctl', ['--unix', controlSocket, '-i']);
      run('startup', '-c');
    },
    extend: (pcr, digestHex) => void run('pcrextend', `${pcr}:sha256=${digestHex}`),
    pcr: (index) => /0x([0-9A-F]{64})/.exec(run('pcrread', `sha256:${index}`))?.[1]?.toLowerCase() ?? '',
  };
}
