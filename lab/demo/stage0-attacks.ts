import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePe } from '../../src/signing/efi/pe.ts';
import { openHostileFirmwareDoor } from '../hostile/firmware-door.ts';
import { LabError } from '../lab-error.ts';
import { signStage0 } from '../world.ts';
import { lastVerdictId, readVerdictSince } from './server-records.ts';
import type { Stage, Step } from './step.ts';
import { watchUntilOff } from './watch-boot.ts';

const REFUSAL_SECONDS = 120;

/** Both need a server that firmware trusts: each holds our stolen TLS key. */
export const stage0Attacks: Step = {
  title: 'attacks 1 and 2: another stage-0 than the listed one, side by side on two machines',
  async run(stage) {
    await Promise.all([bootAlteredStage0(stage), bootUnlistedStage0(stage)]);
  },
};

/** Attack 1: the signature no longer covers what was delivered. */
async function bootAlteredStage0(stage: Stage): Promise<void> {
  const image = await listedStage0(stage);
  const initrd = parsePe(image).sections.find((section) => section.name === '.initrd');
  if (initrd === undefined) throw new LabError('machine-failed', 'the listed stage-0 has no .initrd');
  const altered = Buffer.from(image);
  const at = initrd.fileOffset + Math.floor(initrd.data.length / 2);
  altered[at] = (altered[at] ?? 0) ^ 0x01;
  const { port } = await openHostileFirmwareDoor(
    { dataDir: stage.world.dataDir, image: altered },
    stage.cleanup,
  );
  const machine = await stage.world.startMachine({ name: 'altered', tpm: stage.tpms.first, port });
  stage.say('altered', 'power on: one bit of its .initrd was flipped on the way');
  const line = await machine.waitFor(/Access Denied/, REFUSAL_SECONDS);
  const answer = line.text.trim().replace(/ from PciRoot.*\): /, ': ');
  stage.say('altered', answer, line.seconds);
  const started = machine.lines().some(({ text }) => text.includes('step=stage0-up'));
  await machine.powerOff();
  stage.check({
    claim: 'attack 1: one bit altered inside stage-0: firmware refuses it, Access Denied',
    ok: !started,
    observed: answer,
  });
}

/** Attack 2: everything about it is right but that nobody listed it. */
async function bootUnlistedStage0(stage: Stage): Promise<void> {
  const file = join(stage.world.folder, 'unlisted-stage0.efi');
  await signStage0(stage.world, {
    build: 1,
    cmdline: 'console=ttyS0 quiet panic=10 init=/bin/sh-please',
    saveOnly: file,
  });
  const before = await lastVerdictId(stage.world);
  const { port } = await openHostileFirmwareDoor(
    { dataDir: stage.world.dataDir, image: await readFile(file) },
    stage.cleanup,
  );
  const machine = await stage.world.startMachine({ name: 'unlisted', tpm: stage.tpms.second, port });
  stage.say('unlisted', 'power on: a stage-0 with our Secure Boot signature and another command line');
  const lines = await watchUntilOff(stage, machine);
  const verdict = await readVerdictSince(stage.world, { afterId: before, purpose: 'boot' });
  stage.check({
    claim: 'attack 2: signed for Secure Boot but not listed: stage0-not-listed, and it says which PCR',
    ok:
      verdict?.verdict === 'refuse' &&
      /^stage0-not-listed: PCR 4 is [0-9a-f]{64}, PCR 11 is /.test(verdict.reasons),
    observed: verdict?.reasons ?? 'no verdict was recorded',
  });
  stage.check({
    claim: 'attack 2: the machine itself says why it stops',
    ok: lines.some((line) => /step=reason code=stage0-not-listed$/.test(line)),
    observed: lines.find((line) => /step=reason/.test(line)) ?? 'it said nothing',
  });
}

/** As the repository holds it. */
async function listedStage0({ world, published }: Stage): Promise<Uint8Array> {
  return readFile(join(world.repository, 'artifacts', published.stage0.sha256));
}
