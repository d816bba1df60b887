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
