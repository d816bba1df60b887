import { fromHex } from '../../core/bytes.ts';
import type { EvidencePolicy } from '../verify.ts';
import type { ReferenceValue } from './reference-values.ts';
import type { Stage0Reference } from './stage0-matching.ts';

/**
 * Every PCR that a quote must cover: firmware (0–7), boot loader and kernel (8, 9), systemd-stub's
 * sections, parameters and extensions (11, 12, 13), and ours (14). 10 is IMA's and moves while it runs.
 */
export const QUOTED_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];

/**
 * systemd-stub extends these only for parameters and extensions that arrive beside the image: a listed
 * stage-0 has everything inside itself, so anything here was handed in by somebody else.
 */
export const ZERO_PCRS: readonly number[] = [12, 13];

export interface ChannelPolicy {
  /** `optional` is for machines whose firmware measures nothing (a Raspberry Pi). */
  eventLog: 'required' | 'optional';
  /** `optional` accepts a listed stage-0 that firmware started without verifying it, with a note. */
  secureBoot: 'required' | 'optional';
}

/** What the checklist itself holds every boot against. Which stage-0 it was is decided on its result. */
export function evidencePolicyOf({ eventLog }: ChannelPolicy): EvidencePolicy {
  const zero: ReferenceValue[] = ZERO_PCRS.map((pcr) => ({ pcr, accepted: [new Uint8Array(32)] }));
  return { bank: 'sha256', pcrs: QUOTED_PCRS, eventLog, referenceValues: zero };
}

/** The same with every listed stage-0 as reference value, so that a saved file decides alike offline. */
export function offlinePolicyOf(
  policy: ChannelPolicy,
  stage0References: readonly Stage0Reference[],
): EvidencePolicy {
  const listed = stage0References.filter((reference) => reference.listed);
  const pcr4 = listed.flatMap(({ pcr4SecureBoot, pcr4NoSecureBoot }) => [
    pcr4SecureBoot,
    ...(pcr4NoSecureBoot !== undefined && policy.secureBoot === 'optional' ? [pcr4NoSecureBoot] : []),
  ]);
  const pcr11 = listed.map((reference) => reference.pcr11);
  const base = evidencePolicyOf(policy);
  if (listed.length === 0) return base;
  return {
    ...base,
    referenceValues: [
      ...base.referenceValues,
      { pcr: 4, accepted: pcr4.map(fromHex), code: 'stage0-not-listed' },
      { pcr: 11, accepted: pcr11.map(fromHex), code: 'stage0-not-listed' },
    ],
  };
}
