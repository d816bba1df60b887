import { asciiBytes, fromHex, sha256, toHex } from '../../core/bytes.ts';
import type { FloorReference } from '../floor/floor-rule.ts';
import type { NodeSession } from '../node.ts';
import type { Purpose } from '../quote/purpose.ts';
import type { EvidencePolicy } from '../verify.ts';
import type { Baseline, FirmwareApproval } from './baseline.ts';
import type { FirmwareReference } from './firmware-rule.ts';
import { type PcrRule, type PcrRules, type Policy, QUOTED_PCRS } from './policy.ts';
import type { ReferenceValue, Stage0Values } from './reference-values.ts';
import { floorApprovalOf, type Stage0Match, type Stage0Reference } from './stage0-matching.ts';

/** What is known of the node beside its policy. */
export interface PolicyContext {
  policy: Policy;
  purpose: Purpose;
  session?: NodeSession;
  baseline?: Baseline;
  /** Those whose scope covers this node. */
  firmwareApprovals: readonly FirmwareApproval[];
  stage0References: readonly Stage0Reference[];
  floorReference?: FloorReference;
}

const ZERO = '00'.repeat(32);
const LAST_FIRMWARE_PCR = 7;

/** Evidence of these comes from the running system. */
export function isAfterHandover(purpose: Purpose): boolean {
  return purpose === 'health' || purpose === 'reattest';
}

export function rulesFor({ policy, purpose }: Pick<PolicyContext, 'policy' | 'purpose'>): PcrRules {
  return isAfterHandover(purpose) ? policy.pcrsAfterHandover : policy.pcrs;
}

/**
 * What the checklist holds this evidence against. Which stage-0 it was is decided on its result, where more can
 * be said about it than "none of these".
 */
export function evidencePolicyOf(context: PolicyContext): EvidencePolicy {
  const { policy, purpose } = context;
  const rules = rulesFor(context);
  const firmware = firmwareReferenceOf(context, rules);
  return {
    bank: 'sha256',
    pcrs: QUOTED_PCRS,
    eventLog: policy.eventLog,
    referenceValues: Object.entries(rules).flatMap(([pcr, rule]) => fixedValues(Number(pcr), rule)),
    ...(isAfterHandover(purpose) && { unloggedPcrs: unloggedPcrsOf(rules) }),
    ...(firmware && { firmware }),
    ...(policy.secureBoot.state === 'required' && { secureBoot: { db: policy.secureBoot.db } }),
    ...(context.floorReference && { floor: context.floorReference }),
  };
}

/**
 * The same with every stage-0 that would do, so that a saved file decides alike offline. None that would do is an empty
 * list, which refuses.
 */
export function offlinePolicyOf(context: PolicyContext): EvidencePolicy {
  const base = evidencePolicyOf(context);
  if (rulesFor(context)[4]?.kind !== 'stage0') return base;
  const candidates = possibleStage0(context).filter(({ listed }) => listed);
  return { ...base, stage0: candidates.map((reference) => stage0ValuesOf(reference, context)) };
}

function stage0ValuesOf(reference: Stage0Reference, context: PolicyContext): Stage0Values {
  const { policy, purpose } = context;
  const { pcr4SecureBoot, pcr4NoSecureBoot } = reference;
  const unverified =
    pcr4NoSecureBoot !== undefined && policy.secureBoot.state === 'optional' ? [pcr4NoSecureBoot] : [];
  return {
    pcr4: [pcr4SecureBoot, ...unverified].map(fromHex),
    pcr11: pcr11Values(reference, purpose).map(fromHex),
    ...(mayStart({ reference, secureBoot: true }, context) ? {} : { floor: false }),
  };
}

/**
 * A boot may have started any image; a running system was started by the one that its boot was accepted with. Listed or
 * withdrawn since.
 */
export function possibleStage0({
  stage0References,
  purpose,
  session,
}: PolicyContext): readonly Stage0Reference[] {
  if (!isAfterHandover(purpose)) return stage0References;
  return stage0References.filter(({ sha256: digest }) => digest === session?.stage0Sha256);
}

/** A node that has a floor boots no stage-0 that would not look at it. */
export function mayStart(
  match: Stage0Match,
  { purpose, floorReference }: Pick<PolicyContext, 'purpose' | 'floorReference'>,
): boolean {
  return purpose !== 'boot' || floorReference?.lowest === undefined || floorApprovalOf(match) !== undefined;
}

/** The PCRs whose values must be those of the node's approved firmware. */
export function baselinePcrsOf(rules: PcrRules): number[] {
  return QUOTED_PCRS.filter((pcr) => rules[pcr]?.kind === 'baseline');
}

function fixedValues(pcr: number, rule: PcrRule): ReferenceValue[] {
  if (rule.kind === 'zero') return [{ pcr, accepted: [fromHex(ZERO)] }];
  if (rule.kind === 'values') return [{ pcr, accepted: rule.accepted.map(fromHex) }];
  return [];
}

/** Where firmware's log ends, the rules go on: what they ignore, and the phases of {@link pcr11Values}. */
function unloggedPcrsOf(rules: PcrRules): number[] {
  return QUOTED_PCRS.filter((pcr) => pcr > LAST_FIRMWARE_PCR && rules[pcr]?.kind !== 'release');
}

/** No node has a baseline before its first boot. */
function firmwareReferenceOf(
  { policy, purpose, baseline, firmwareApprovals }: PolicyContext,
  rules: PcrRules,
): FirmwareReference | undefined {
  const pcrs = baselinePcrsOf(rules);
  if (pcrs.length === 0 || purpose === 'enrol') return undefined;
  if (baseline === undefined && policy.baseline === 'first-boot') return undefined;
  return {
    pcrs,
    accepted: [...(baseline ? [baseline] : []), ...firmwareApprovals].map(({ pcrs: values }) =>
      Object.fromEntries(pcrs.flatMap((pcr) => (values[pcr] === undefined ? [] : [[pcr, values[pcr]]]))),
    ),
    ...(baseline?.eventLog && { baselineLog: baseline.eventLog }),
  };
}

/**
 * systemd-pcrphase(8) of a system that was started through systemd-stub extends PCR 11 at these points, in the
 * initramfs (which a release may not have) and after it.
 */
const PHASES = [
  ['enter-initrd', 'leave-initrd', 'sysinit', 'ready'],
  ['sysinit', 'ready'],
] as const;

/** Every value of PCR 11 that a system may show which this stage-0 started. */
export function pcr11Values(reference: Stage0Reference, purpose: Purpose): string[] {
  if (!isAfterHandover(purpose)) return [reference.pcr11];
  const values = PHASES.flatMap((phases) =>
    phases.map((_, count) =>
      toHex(
        phases
          .slice(0, count + 1)
          .reduce((value, phase) => sha256(value, sha256(asciiBytes(phase))), fromHex(reference.pcr11)),
      ),
    ),
  );
  return [...new Set([reference.pcr11, ...values])];
}
