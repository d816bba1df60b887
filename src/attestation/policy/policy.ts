import type { Admission, Identity, PlatformState } from '../node.ts';

/**
 * Every PCR that a quote must cover: firmware (0–7), boot loader and kernel (8, 9), systemd-stub's
 * sections, parameters and extensions (11, 12, 13), and ours (14). 10 is IMA's and moves while it runs.
 */
export const QUOTED_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];

/** What firmware starts, what that image finds in itself, and what the agent says of its hand-over. */
export const STAGE0_PCRS: readonly number[] = [4, 11];

/** What one PCR must hold (docs/policy.md). */
export type PcrRule =
  /** What a published stage-0 leaves there, computed from the image's own bytes. */
  | { kind: 'stage0' }
  /** Zero before the hand-over, one extend of the granted release after it. */
  | { kind: 'release' }
  /** What this node's firmware left there when it was last approved. */
  | { kind: 'baseline' }
  | { kind: 'zero' }
  /** Hex, SHA-256 bank. */
  | { kind: 'values'; accepted: readonly string[] }
  | { kind: 'ignore'; reason: string };

export type PcrRules = Readonly<Record<number, PcrRule>>;

/** The appraisal policy for evidence (RFC 9334, section 8.5) of the nodes of some channels. Plain data. */
export interface Policy {
  name: string;
  version: number;
  channels: readonly string[];
  /** The least. */
  identity: Identity;
  admission: readonly Exclude<Admission, 'pending'>[];
  state: readonly PlatformState[];
  eventLog: 'required' | 'optional';
  secureBoot: {
    state: 'required' | 'optional';
    /** Hex SHA-256 of everything that `db` may hold: certificates in DER, and digests of images. */
    db: 'any' | readonly string[];
  };
  /** Where a node's baseline comes from; there when a rule needs one. */
  baseline?: 'first-boot' | 'approved';
  pcrs: PcrRules;
  /** The rules for health and reattest evidence: those of `pcrs`, but for what the document says otherwise. */
  pcrsAfterHandover: PcrRules;
  /** A running node must prove itself this often. */
  reattest?: { everySeconds: number; graceSeconds: number };
}

const ignored = (reason: string): PcrRule => ({ kind: 'ignore', reason });

const BUILT_IN_RULES: PcrRules = {
  0: { kind: 'baseline' },
  1: ignored('boot order and setup options change it'),
  2: { kind: 'baseline' },
  3: ignored('settings of option ROMs change it'),
  4: { kind: 'stage0' },
  5: ignored('partition tables and boot attempts change it'),
  6: ignored('makers use it as they like, and it moves with power states'),
  7: { kind: 'baseline' },
  8: ignored('stage-0 comes without a boot loader that measures here'),
  9: ignored('the kernel measures what PCR 11 holds already'),
  11: { kind: 'stage0' },
  12: { kind: 'zero' },
  13: { kind: 'zero' },
  14: { kind: 'release' },
};

/** For channels that no document names: what a server starts with. */
export function builtInPolicy(settings: {
  eventLog: 'required' | 'optional';
  secureBoot: 'required' | 'optional';
}): Policy {
  return {
    name: 'built-in',
    version: 1,
    channels: [],
    identity: 'uncertified',
    admission: ['listed', 'token', 'approved'],
    state: settings.eventLog === 'required' ? ['measured'] : ['measured', 'self-reported', 'rom-asserted'],
    eventLog: settings.eventLog,
    secureBoot: { state: settings.secureBoot, db: 'any' },
    baseline: 'first-boot',
    pcrs: BUILT_IN_RULES,
    pcrsAfterHandover: BUILT_IN_RULES,
  };
}
