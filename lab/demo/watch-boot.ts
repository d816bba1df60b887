import { LabError } from '../lab-error.ts';
import type { Machine } from '../machine.ts';
import { RELEASE_NAME } from '../world.ts';
import type { Stage } from './step.ts';

export const BOOT_SECONDS = 300;
const AGENT_STEP = /^bootward: \[[0-9.]+s\] step=(.*)$/;
export const FIRMWARE_REQUEST = /URI: https:/;
export const bannerOf = (release: string): RegExp =>
  new RegExp(`BOOTWARD-DEMO release ${release} running.* PCR 14 ([0-9a-f]{64})`);
export const BANNER = bannerOf(RELEASE_NAME);
const ANY_BANNER = bannerOf('.*');

/** What each marker of the agent (docs/agent.md) tells a person who watches. */
const MEANING: Readonly<Record<string, string>> = {
  'stage0-up': 'firmware verified our stage-0 and started it',
  root: 'the trust root baked into stage-0 leads to the one in force',
  challenge: 'a challenge came, signed by a key that the trust root names',
  evidence: 'the TPM signed its PCRs, the challenge and the claims',
  enrol: 'the TPM opened the credential: EK and AK are in one chip',
  verdict: 'the server believes what this machine has booted',
  manifest: 'the release is the one its channel keys signed',
  'grant-closed': 'all artifacts have their signed hashes; the grant is given back',
  handover: 'PCR 14 now names the release; kernel handed over',
  poison: 'PCR 14 is poisoned: no evidence of a boot can follow',
  reason: 'the server says why not',
  stop: 'the machine stops, and says why',
};

/** Puts what one machine's console says onto the timeline until it is off, and answers all its lines. */
export async function watchUntilOff(stage: Stage, machine: Machine): Promise<string[]> {
  const told = new Set<number>();
  const tell = () => {
    for (const [index, { text, seconds }] of machine.lines().slice(0, -1).entries()) {
      if (told.has(index)) continue;
      told.add(index);
      const sentence = describe(text);
      if (sentence !== undefined) stage.say(machine.name, sentence, seconds);
    }
  };
  const timer = setInterval(tell, 250);
  try {
    const seconds = await machine.waitForPowerOff(BOOT_SECONDS);
    tell();
    stage.say(machine.name, 'powered off', seconds);
  } catch (cause) {
    await machine.powerOff();
    throw cause instanceof LabError ? cause : new LabError('machine-failed', String(cause), { cause });
  } finally {
    clearInterval(timer);
  }
  return machine.lines().map(({ text }) => text);
}

function describe(text: string): string | undefined {
  if (FIRMWARE_REQUEST.test(text)) return 'firmware asks for stage-0 over HTTPS';
  const marker = AGENT_STEP.exec(text)?.[1];
  if (marker !== undefined) {
    const [step = '', ...facts] = marker.split(' ');
    const meaning = MEANING[step];
    return meaning === undefined ? undefined : `${step}: ${meaning}${factsOf(facts)}`;
  }
  return ANY_BANNER.test(text) ? text : undefined;
}

/** The short facts; hashes are in the log. */
function factsOf(facts: readonly string[]): string {
  const short = facts.filter((fact) => fact.length <= 40 && !fact.startsWith('pcrs='));
  return short.length === 0 ? '' : ` (${short.join(' ')})`;
}
