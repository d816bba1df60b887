import { EMPTY, fromHex, toHex } from '../../core/bytes.ts';
import { SHA256 } from '../../tpm/algorithms.ts';
import { differingEvent } from '../event-log/differing-event.ts';
import type { Admission, ClaimedStage0, Identity, PlatformState } from '../node.ts';
import type { VerifiedQuote } from '../quote/quote.ts';
import type { Finding } from '../reasons.ts';
import type { Baseline, FirmwareApproval } from './baseline.ts';
import {
  baselinePcrsOf,
  mayStart,
  type PolicyContext,
  pcr11Values,
  possibleStage0,
  rulesFor,
} from './evidence-policy.ts';
import { checkFacts } from './facts-rule.ts';
import { identifyStage0, type Stage0Match } from './stage0-matching.ts';
import { pcr4Digests } from './stage0-reference.ts';

export interface StateInput extends PolicyContext {
  attester: { identity: Identity; admission: Admission; romAsserted: boolean };
  untrustedEvidence: { eventLog?: Uint8Array };
  /** Authentic: its values are the TPM's word. */
  quote: VerifiedQuote;
  claimedBuild: number;
  /** Of what the node's channel releases; absent where it releases nothing. */
  architecture?: string;
  nowSeconds: number;
}

export interface StateAppraisal {
  findings: Finding[];
  /** Holds only when no finding refuses or holds. */
  meaning: {
    state: PlatformState;
    stage0?: Stage0Match;
    /** Instead of it, where no PCR is asked. */
    claimedStage0?: ClaimedStage0;
    baseline?: Baseline;
    /** Id of the approval without which this firmware would be held. */
    firmwareApproval?: number;
  };
}

/** What the quoted values mean beyond the checklist: which stage-0, which of the three facts, which baseline. */
export function appraiseState(input: StateInput): StateAppraisal {
  const usesStage0 = rulesFor(input)[4]?.kind === 'stage0';
  const stage0 = usesStage0 ? identify(input) : checkClaimedBuild(input);
  const state = stateOf(input, usesStage0);
  const { identity, admission } = input.attester;
  const facts = checkFacts({ identity, admission, state }, input.policy, input.purpose);
  const baseline = baselineOf(input);
  const approval = approvalOf(input);
  return {
    findings: [...stage0.findings, ...facts],
    meaning: {
      state,
      ...(stage0.match && { stage0: stage0.match }),
      ...(stage0.claimed && { claimedStage0: stage0.claimed }),
      ...(baseline && { baseline }),
      ...(approval && { firmwareApproval: approval.id }),
    },
  };
}

interface Stage0Appraisal {
  findings: Finding[];
  match?: Stage0Match;
  claimed?: ClaimedStage0;
}

function identify(input: StateInput): Stage0Appraisal {
  const { purpose, policy, nowSeconds, claimedBuild } = input;
  const identified = identifyStage0({
    quoted: { pcr4: pcrOf(input.quote, 4), pcr11: pcrOf(input.quote, 11) },
    references: possibleStage0(input),
    pcr11Of: (reference) => pcr11Values(reference, purpose),
    nowSeconds,
    ...differenceIn(input),
  });
  if ('fault' in identified) return { findings: [identified.fault] };
  const { match } = identified;
  const { build } = match.reference;
  if (claimedBuild !== build)
    return {
      findings: [
        {
          code: 'claims-stage0-mismatch',
          message: `the node says it runs stage-0 build ${claimedBuild}, its PCRs say build ${build}`,
        },
      ],
    };
  return {
    match,
    findings: [
      ...(match.secureBoot ? [] : [withoutSecureBoot(policy.secureBoot.state)]),
      ...(mayStart(match, input) ? [] : [withoutFloor(match)]),
    ],
  };
}

function withoutFloor({ reference: { architecture, build } }: Stage0Match): Finding {
  return {
    code: 'floor-missing',
    message: `stage-0 is ${architecture} build ${build}, which keeps no floor, and this node has one: boot a build that does, or reset-floor`,
  };
}

function withoutSecureBoot(policy: 'required' | 'optional'): Finding {
  return policy === 'required'
    ? {
        code: 'secure-boot-required',
        message: 'PCR 4: expected stage-0 verified by Secure Boot, firmware started it without verifying it',
      }
    : { code: 'secure-boot-off', message: 'firmware started stage-0 without verifying it' };
}

/** No PCR tells: what is left is the node's own word, which must at least name something that is listed. */
function checkClaimedBuild(input: StateInput): Stage0Appraisal {
  const { claimedBuild, stage0References, architecture } = input;
  const listed = stage0References.find(
    (reference) =>
      reference.listed &&
      reference.build === claimedBuild &&
      reference.architecture === (architecture ?? reference.architecture),
  );
  if (listed !== undefined)
    return {
      claimed: { architecture: listed.architecture, build: claimedBuild },
      findings: [
        {
          code: 'stage0-self-reported',
          message: `the node says it runs stage-0 build ${claimedBuild}; by its policy no PCR is asked`,
        },
      ],
    };
  return {
    findings: [
      {
        code: 'stage0-not-listed',
        message: `the node says it runs stage-0 build ${claimedBuild}, which is not listed${architecture === undefined ? '' : ` for ${architecture}`}`,
      },
    ],
  };
}

function stateOf({ attester, untrustedEvidence }: StateInput, usesStage0: boolean): PlatformState {
  if (untrustedEvidence.eventLog !== undefined && usesStage0) return 'measured';
  return attester.romAsserted ? 'rom-asserted' : 'self-reported';
}

/** The first boot's, or what an approval lets a later one become; nothing while it is what it was. */
function baselineOf(input: StateInput): Baseline | undefined {
  const { purpose, quote, untrustedEvidence, nowSeconds } = input;
  if (purpose !== 'boot' || baselinePcrsOf(rulesFor(input)).length === 0 || isBaseline(input))
    return undefined;
  return {
    pcrs: Object.fromEntries([...quote.pcrs].map(([pcr, value]) => [pcr, toHex(value)])),
    ...(untrustedEvidence.eventLog && { eventLog: untrustedEvidence.eventLog }),
    approvedBy: isFirstBoot(input) ? 'first-boot' : 'firmware-approval',
    approvedAtSeconds: nowSeconds,
  };
}

/** What lets this firmware pass where neither the baseline nor a first boot does. */
function approvalOf(input: StateInput): FirmwareApproval | undefined {
  if (input.purpose === 'enrol' || isBaseline(input) || isFirstBoot(input)) return undefined;
  if (baselinePcrsOf(rulesFor(input)).length === 0) return undefined;
  return input.firmwareApprovals.find(({ pcrs }) => showsFirmware(input, pcrs));
}

function isFirstBoot({ baseline, policy }: StateInput): boolean {
  return baseline === undefined && policy.baseline === 'first-boot';
}

function isBaseline(input: StateInput): boolean {
  return input.baseline !== undefined && showsFirmware(input, input.baseline.pcrs);
}

function showsFirmware(input: StateInput, values: Baseline['pcrs']): boolean {
  return baselinePcrsOf(rulesFor(input)).every((pcr) => values[pcr] === pcrOf(input.quote, pcr));
}

/** Against the newest listed image: firmware's first two events are the same for each, the third is the image. */
function differenceIn({ untrustedEvidence, stage0References }: StateInput): { differingEvent?: string } {
  const { eventLog } = untrustedEvidence;
  const newest = stage0References.filter(({ listed }) => listed).toSorted((a, b) => b.build - a.build)[0];
  if (eventLog === undefined || newest?.authenticodeSha256 === undefined) return {};
  const difference = differingEvent({
    untrustedLog: eventLog,
    pcr: 4,
    hash: SHA256,
    expectedDigests: pcr4Digests(fromHex(newest.authenticodeSha256)),
  });
  return difference === undefined ? {} : { differingEvent: difference };
}

function pcrOf(quote: VerifiedQuote, pcr: number): string {
  return toHex(quote.pcrs.get(pcr) ?? EMPTY);
}
