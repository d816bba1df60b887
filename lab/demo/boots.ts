import type { Machine } from '../machine.ts';
import type { SoftwareTpm } from '../software-tpm.ts';
import { CHANNEL, RELEASE_NAME } from '../world.ts';
import { readNodes, readVerdictSince } from './server-records.ts';
import type { Stage, Step } from './step.ts';
import { BANNER, bannerOf, FIRMWARE_REQUEST, watchUntilOff } from './watch-boot.ts';

/** Nobody touches the machine: its TPM was on the operator's list, and that is all. */
export const firstBoot: Step = {
  title: 'boot 1: a new machine enrols itself, attests and runs the signed release',
  async run(stage) {
    await stage.world.admin('ek', 'import', stage.tpms.first.ekCertificateFile, '--channel', CHANNEL);
    const { machine, enrolled, lines } = await bootToRelease(stage, {
      name: 'machine-1',
      tpm: stage.tpms.first,
    });
    stage.check({
      claim: 'its TPM enrolled it, certified and admitted by the list',
      ok: enrolled && /certified, listed/.test(await factsOfEnrolment(stage)),
      observed: await factsOfEnrolment(stage),
    });
    await checkAliases(stage);
    checkRunningSystem(stage, lines);
    checkSecondGrant(stage, lines);
    for (const [name, pattern] of MILESTONES) {
      const line = machine.lines().find(({ text }) => pattern.test(text));
      if (line !== undefined) stage.timing(name, line.seconds);
    }
  },
};

const MILESTONES = [
  ['first HTTPS request', FIRMWARE_REQUEST],
  ['stage-0 up', /step=stage0-up/],
  ['evidence accepted', /step=verdict verdict=accept/],
  ['release running', BANNER],
] as const;

/** The same machine again, beside a second one that boots for the first time. */
export const secondBoot: Step = {
  title: 'boot 2: the same machine needs no enrolment; a second machine joins beside it',
  async run(stage) {
    await stage.world.admin('ek', 'import', stage.tpms.second.ekCertificateFile, '--channel', CHANNEL);
    const [again, other] = await Promise.all([
      bootToRelease(stage, { name: 'machine-1', tpm: stage.tpms.first }),
      bootToRelease(stage, { name: 'machine-2', tpm: stage.tpms.second }),
    ]);
    const nodes = await readNodes(stage.world);
    stage.check({
      claim: 'machine-1 did not enrol again, machine-2 did: two nodes, both enrolled',
      ok:
        !again.enrolled &&
        other.enrolled &&
        nodes.length === 2 &&
        nodes.every((node) => node.status === 'enrolled'),
      observed: nodes.map((node) => `${String(node.id)} ${String(node.status)}`).join(', '),
    });
  },
};

/** A boot that must succeed; the unaltered twin of every attack is one of these. */
export async function bootToRelease(
  stage: Stage,
  { release = RELEASE_NAME, ...setup }: { name: string; tpm: SoftwareTpm; release?: string },
) {
  const machine: Machine = await stage.world.startMachine(setup);
  stage.say(setup.name, 'power on');
  const lines = await watchUntilOff(stage, machine);
  const banner = lines.find((line) => bannerOf(release).test(line));
  stage.check({
    claim: `${setup.name} runs ${release}, which its channel keys signed`,
    ok: banner !== undefined,
    observed: banner?.slice(0, 80) ?? lines.slice(-3).join(' | '),
  });
  const verdict = lines.find((line) => line.includes('step=verdict')) ?? 'no verdict';
  stage.check({
    claim: `${setup.name} was accepted as measured`,
    ok: /verdict=accept identity=certified admission=listed state=measured/.test(verdict),
    observed: verdict.replace(/^.*step=verdict /, ''),
  });
  return { machine, enrolled: lines.some((line) => /step=enrol state=enrolled/.test(line)), lines };
}

async function factsOfEnrolment({ world }: Stage): Promise<string> {
  return (await readVerdictSince(world, { afterId: 0, purpose: 'enrol' }))?.facts ?? 'no enrolment';
}

/** The chip has an RSA-2048 and a P-384 EK, each with a certificate: a second node would be a second chance. */
async function checkAliases({ world, check }: Stage): Promise<void> {
  const nodes = await readNodes(world);
  const names = nodes.map(({ ekFingerprints }) =>
    Array.isArray(ekFingerprints) ? ekFingerprints.length : 0,
  );
  check({
    claim: 'both certified EKs of its TPM are names of one node',
    ok: names.length === 1 && names[0] === 2,
    observed: `${names.length} node, with ${names.join(' and ')} endorsement keys`,
  });
}

/** The same agent in the booted system: fresh evidence of this session, and PCR 14 names its release. */
function checkRunningSystem(stage: Stage, lines: readonly string[]): void {
  const line = lines.find((text) => text.startsWith('BOOTWARD-DEMO running system: ')) ?? 'it said nothing';
  stage.check({
    claim: 'the running system proves itself: reattest is accepted, with the same three facts',
    ok: /: accepted: reattest, certified, listed, measured/.test(line),
    observed: line.replace(/^.*running system: /, ''),
  });
}

/** Attack 4, last part: the demo release plays an attacker who is root in the booted system. */
function checkSecondGrant(stage: Stage, lines: readonly string[]): void {
  const asked = lines.findIndex((line) => line.includes('root asks for a second grant'));
  const reason = lines.slice(Math.max(asked, 0)).find((line) => /step=reason code=/.test(line));
  stage.check({
    claim: 'attack 4: root in the booted system quotes freshly for a second grant: pcr14-not-zero',
    ok: asked >= 0 && reason !== undefined && /code=pcr14-not-zero$/.test(reason),
    observed: reason?.replace(/^.*step=/, '') ?? 'it did not ask, or was not refused',
  });
}
