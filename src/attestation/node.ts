import type { FloorRecord } from './floor/floor-record.ts';

/**
 * A node and the three facts about it. They are shown side by side with every node and every verdict,
 * never merged and never rounded up (docs/architecture.md, "Three facts").
 */

/** Is this a genuine TPM, and which: `certified` = certificate chain and activation, else activation only. */
export type Identity = 'certified' | 'uncertified';

/** Does it belong to us. */
export type Admission = 'listed' | 'token' | 'approved' | 'open' | 'pending';

/** What the PCRs mean. `rom-asserted` is an operator's statement and never inferred. */
export type PlatformState = 'measured' | 'self-reported' | 'rom-asserted';

export interface Facts {
  identity: Identity;
  admission: Admission;
  state: PlatformState;
}

export type NodeStatus = 'pending' | 'enrolled' | 'rejected' | 'revoked';

/** What the TPM said of itself in the last accepted evidence (TPM 2.0 Part 2, 10.11, TPMS_CLOCK_INFO). */
export interface TpmCounters {
  /** Milliseconds that the TPM has been powered. */
  clock: bigint;
  resetCount: number;
  restartCount: number;
  firmwareVersion: bigint;
}

/** One certified or activated endorsement key; several may belong to one TPM and so to one node. */
export interface EndorsementKey {
  /** Hex SHA-256 of the SubjectPublicKeyInfo. */
  fingerprint: string;
  /** TPMT_PUBLIC. */
  publicArea: Uint8Array;
  /** DER, without NV padding. */
  certificate?: Uint8Array;
  manufacturer?: string;
  identity: Identity;
}

/** What a node says it runs, where no PCR tells: a listed build, and nobody's proof that it is this one. */
export interface ClaimedStage0 {
  architecture: string;
  build: number;
}

/** The last boot that was granted a release: running evidence belongs to it, and to no other power cycle. */
export interface NodeSession {
  /** Hex SHA-256 of the release manifest. */
  releaseDigest: string;
  /** Hex SHA-256 of the stage-0 image that was identified; absent where no PCR tells. */
  stage0Sha256?: string;
  resetCount: number;
  restartCount: number;
  startedAtSeconds: number;
  /** Of the last evidence in this session that was accepted, the boot's own included. */
  provenAtSeconds: number;
}

/** An enrolled node whose running system did not prove itself, or fell silent. It may still boot anew. */
export interface Suspicion {
  sinceSeconds: number;
  reason: string;
}

export interface NodeRecord {
  id: string;
  channel: string;
  status: NodeStatus;
  identity: Identity;
  admission: Admission;
  /** Of the last accepted evidence. */
  state?: PlatformState;
  /** TPMT_PUBLIC of the attestation key that was activated. */
  akPublic: Uint8Array;
  /** Hex TPM Name of the attestation key. */
  akName: string;
  /** As its EK certificate spells it, for example `id:00001014`. */
  manufacturer?: string;
  /** Fingerprints of every endorsement key of this TPM that we know, the one that its id is from first. */
  ekFingerprints: readonly string[];
  /** What the node says of itself; never evidence. */
  untrustedHints: Readonly<Record<string, string>>;
  counters?: TpmCounters;
  /** Which attestation key this node is asked for (`unique` of the template); 1 until it is rotated. */
  akGeneration: number;
  /** An operator lets the next enrolment bring another attestation key. */
  akMayChange: boolean;
  /** And its present one is good for nothing any more: it must come with a key of `akGeneration`. */
  akRotationDue: boolean;
  /** The operator's statement that this machine's ROM verifies stage-0; never inferred. */
  romAsserted: boolean;
  session?: NodeSession;
  /** What its last accepted evidence showed; from then on every boot must show one. */
  floor?: FloorRecord;
  /** It was granted a boot of a stage-0 that keeps a floor, or has shown one: its running system must show one. */
  floorExpected: boolean;
  /** Since it last showed a record: how often it had its release, and was about to write its floor and hand over. */
  floorMissed?: number;
  /** An operator has reset its floor: what its next boot shows is the first, and what runs until then shows nothing. */
  floorReset?: boolean;
  suspect?: Suspicion;
  createdAtSeconds: number;
  lastVerdictAtSeconds?: number;
}

/** The node's id comes from the endorsement key it first enrolled with, so nobody can choose one. */
export function nodeIdOf(ekFingerprint: string): string {
  return `n-${ekFingerprint.slice(0, 20)}`;
}

/** What people compare at a console: half of the fingerprint, 128 bits, which begins like the node's id. */
export function ekGroupsOf(ekFingerprint: string): string {
  return ekFingerprint.slice(0, 32).replace(/.{4}(?=.)/g, '$& ');
}
