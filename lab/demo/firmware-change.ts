import { createThrowAwayCertificate } from '../throw-away-certificate.ts';
import { lastVerdictId, readVerdictSince } from './server-records.ts';
import type { Step } from './step.ts';
import { BANNER, BOOT_SECONDS, watchUntilOff } from './watch-boot.ts';

const SIGNER = 'Some Other Vendor CA';

/** Not an attack in itself: perhaps the owner did it, and only the owner can know. */
export const firmwareChange: Step = {
  title: 'a firmware change: db trusts one more signer; the node is held until an operator approves',
  async run(stage) {
    const { world, check, say } = stage;
    const before = await lastVerdictId(world);
    const machine = await world.startMachine({
      name: 'machine-2',
      tpm: stage.tpms.second,
      moreSigners: [await createThrowAwayCertificate(SIGNER)],
    });
    say(machine.name, `power on: its db now trusts ${SIGNER}, too`);
    const ended = watchUntilOff(stage, machine);
    await machine.waitFor(/step=wait code=evidence-held/, BOOT_SECONDS);
    const held = await readVerdictSince(world, { afterId: before, purpose: 'boot' });
    const id = String(held?.id);
    const shown = (await world.admin('verdicts', 'show', id)).trim();
    for (const line of shown.split('\n')) say('operator', line);
    check({
      claim: 'another signer in db holds the node, and the operator is shown which event differs',
      ok: held?.verdict === 'hold' && isExplained(shown),
      observed: differenceIn(shown),
    });
    const answer = await world.admin('firmware', 'approve', id, '--name', 'one more signer');
    say('operator', answer.trim());
    const lines = await ended;
    check({
      claim: 'once approved, the node that waited boots, and nobody touched it',
      ok: lines.some((line) => BANNER.test(line)),
      observed: lines.find((line) => BANNER.test(line))?.slice(0, 80) ?? lines.slice(-3).join(' | '),
    });
  },
};

function isExplained(shown: string): boolean {
  return /PCR 7 is [0-9a-f]+/.test(shown) && differenceIn(shown).includes(SIGNER);
}

function differenceIn(shown: string): string {
  return (
    shown
      .split('\n')
      .find((line) => /: db .* changed/.test(line))
      ?.trim() ?? shown
  );
}
