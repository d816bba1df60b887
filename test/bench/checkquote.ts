import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toHex } from '../../src/core/bytes.ts';
import { createSoftwareAk } from '../../src/fleet-sim/chip/software-ak.ts';
import { bootEvents, writeLog } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { EXTRA_DATA, pcrsOf, sealEvidence } from '../attestation/evidence-fixture.ts';
import type { Measurement } from './bench-process.ts';

const run = promisify(execFile);
const CALLS = 30;

/** tpm2-tools on the same kind of quote, a process for each: signature and extraData, without the PCR values. */
export async function benchCheckquote(): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-bench-'));
  try {
    const file = (name: string): string => join(folder, name);
    const ak = createSoftwareAk('rsassa');
    const { attest, signature } = sealEvidence({ ak, pcrs: pcrsOf(writeLog(bootEvents())) });
    const publicKey = createPublicKey(ak.privateKey).export({ type: 'spki', format: 'pem' });
    await writeFile(file('ak.pem'), publicKey);
    await writeFile(file('quote'), attest);
    await writeFile(file('signature'), signature);
    const files = ['-u', file('ak.pem'), '-m', file('quote'), '-s', file('signature')];
    const options = [...files, '-g', 'sha256', '-q', toHex(EXTRA_DATA)];
    await run('tpm2_checkquote', options);
    const before = performance.now();
    for (let call = 0; call < CALLS; call += 1) await run('tpm2_checkquote', options);
    const rate = (CALLS * 1000) / (performance.now() - before);
    return [
      { name: 'tpm2_checkquote per second, RSA-2048, one after another', value: rate.toFixed(0), aim: '' },
    ];
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw cause;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
