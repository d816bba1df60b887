import type { FloorRecord } from './floor/floor-record.ts';
import type {
  EndorsementKey,
  Facts,
  NodeRecord,
  NodeSession,
  NodeStatus,
  Suspicion,
  TpmCounters,
} from './node.ts';
import type { Baseline } from './policy/baseline.ts';
import type { Purpose } from './quote/purpose.ts';

export interface ChallengeRecord {
  /** Hex SHA-256 of the compact JWS as it was sent. */
  sha256: string;
  akName: string;
  purpose: Purpose;
  enrolmentId?: string;
  issuedAtSeconds: number;
  expiresAtSeconds: number;
}

export interface PendingCredential extends EndorsementKey {
  /** Hex SHA-256 of the secret that only this endorsement key can recover. */
  secretSha256: string;
}

export interface EnrolmentRecord {
  id: string;
  akPublic: Uint8Array;
  akName: string;
  credentials: readonly PendingCredential[];
  /** Base64url SHA-256 of the ephemeral client certificate that opened this enrolment. */
  clientThumbprint: string;
  untrustedHints: Readonly<Record<string, string>>;
  /** Hex SHA-256 of the enrolment token that came with it; spent when the enrolment leads to a node. */
  tokenSha256?: string;
  /** What was noted of its endorsement keys: an expired certificate, a CRL that is missing. */
  notes: readonly StoredFinding[];
  expiresAtSeconds: number;
}

/** Codes of a newer or older version may stand in a database. */
export interface StoredFinding {
  code: string;
  message: string;
}

export interface VerdictRecord {
  akName: string;
  nodeId?: string;
  purpose: Purpose;
  verdict: 'accept' | 'refuse' | 'hold';
  reasons: readonly StoredFinding[];
  notes: readonly StoredFinding[];
  facts?: Facts;
  /** The evidence file (`bootward-evidence-v1`), for offline verification later. */
  evidenceDocument?: string;
  releaseDigest?: string;
  atSeconds: number;
}

export interface GrantRecord {
  id: string;
  nodeId: string;
  channel: string;
  version: number;
  releaseDigest: string;
  /** Base64url SHA-256 of the ephemeral certificate that the grant is bound to (RFC 8705). */
  clientThumbprint: string;
  issuedAtSeconds: number;
  expiresAtSeconds: number;
}

/** Why a one-use thing could not be used. */
export type ChallengeFault = 'challenge-unknown' | 'challenge-expired' | 'nonce-consumed';

export interface Activation {
  enrolmentId: string;
  challengeSha256: string;
  node: NodeRecord;
  /** Those of the node when the evidence was judged. */
  countersBefore?: TpmCounters;
  endorsementKeys: readonly EndorsementKey[];
  /** Of a node that had another AK until now: that one is retired for ever. */
  akNameBefore?: string;
  /** Hex SHA-256 of the enrolment token to spend. */
  tokenSha256?: string;
  verdict: VerdictRecord;
}

/** What the judgement took from the store beside the counters, and an operator may have changed since. */
export type VerdictBasis = Pick<NodeRecord, 'channel' | 'romAsserted'> & {
  /** Id of the approval without which the node's firmware would have been held. */
  firmwareApproval?: number;
};

/** What accepted evidence tells of a node's floor: it showed this one, or must show its first one from now on. */
export type KnownFloor = { shown: FloorRecord } | 'expected';

/**
 * State of enrolment and attestation. Every method that writes is one durable transaction: after it
 * resolved, its effect survives a crash; after it rejected, nothing of it is there. Methods may be
 * called concurrently and from several processes on one database; what may happen only once is decided
 * by a conditional write, never by isolation level. Nothing here is retried by the implementation.
 */
export interface AttestationStore {
  findNode(id: string): Promise<NodeRecord | undefined>;
  findNodeByAk(akName: string): Promise<NodeRecord | undefined>;
  findNodeByEk(fingerprint: string): Promise<NodeRecord | undefined>;
  /** The node that had this AK before its present one. */
  findNodeByRetiredAk(akName: string): Promise<NodeRecord | undefined>;
  listNodes(): Promise<NodeRecord[]>;
  /** The admission list: which channel this endorsement key was imported for, if it was. */
  findListedEk(fingerprint: string): Promise<{ channel: string } | undefined>;

  saveChallenge(challenge: ChallengeRecord): Promise<void>;
  /** Neither answered nor expired. */
  countOpenChallenges(of: { akName: string; purpose: Purpose; nowSeconds: number }): Promise<number>;
  /** Also when consumed or expired: {@link consumed} says so. */
  findChallenge(sha256: string): Promise<(ChallengeRecord & { consumed: boolean }) | undefined>;

  saveEnrolment(enrolment: EnrolmentRecord): Promise<void>;
  /** What strangers make this server keep: enrolments under way, and machines that wait for an operator. */
  countOpenEnrolments(nowSeconds: number): Promise<number>;
  findEnrolment(id: string): Promise<EnrolmentRecord | undefined>;
  /** Ends an enrolment for ever: its credentials and its challenge are gone. */
  endEnrolment(id: string): Promise<void>;
  /** The node that an enrolment led to, asked by the same ephemeral certificate. */
  findEnrolledNode(query: { enrolmentId: string; clientThumbprint: string }): Promise<NodeRecord | undefined>;

  /**
   * Consumes the challenge, ends the enrolment, binds AK and EKs to the node and records the verdict,
   * all or nothing. `conflict`: another node came to own this AK or one of these EKs meanwhile, or the
   * node is not what it was when the evidence was judged. `token-spent`: another machine used the token, or it
   * was withdrawn or expired.
   */
  commitActivation(
    activation: Activation,
  ): Promise<'committed' | 'conflict' | 'token-spent' | ChallengeFault>;

  /**
   * Consumes the challenge and records the verdict; with an accepted one also the counters, the session,
   * the baseline, the floor and the grant, closing the node's earlier grants; the node is no longer suspect then. With
   * another one that says `suspect`, the node becomes that and its grants are closed, if it still has the AK of the
   * verdict and is in the session that was judged: a late refusal harms no boot since. `node-not-enrolled`: it was
   * revoked meanwhile, or may not attest with this key any more. `basis-moved`: since this was judged, other evidence
   * was accepted (E26) or an operator took back what an accepted verdict rests on; nothing was written, and it must be
   * judged again. Held evidence with `floor-ahead` is an event of its own, at most one a day for a node.
   */
  commitVerdict(commit: {
    challengeSha256: string;
    verdict: VerdictRecord;
    counters?: { before: TpmCounters | undefined; now: TpmCounters };
    basis?: VerdictBasis;
    session?: NodeSession;
    baseline?: Baseline;
    floor?: KnownFloor;
    grant?: GrantRecord;
    suspect?: { suspicion: Suspicion; session?: NodeSession };
  }): Promise<'committed' | 'node-not-enrolled' | 'basis-moved' | ChallengeFault>;

  /** Records a verdict on evidence whose challenge was no longer good: nothing else changes. */
  recordRefusal(verdict: VerdictRecord): Promise<void>;

  /** Undefined when there is no such grant or it was closed. */
  findOpenGrant(id: string): Promise<GrantRecord | undefined>;
  /** By its node, which has its release and hands over: from then on its floor is written, or missed. */
  closeGrant(grant: { id: string; nodeId: string; atSeconds: number }): Promise<void>;

  /** `unchanged` when the node was not in one of the states the change may start from. */
  changeNodeStatus(change: NodeStatusChange): Promise<'changed' | 'unchanged'>;
  /**
   * Forgets what the node's TPM said of its counters, so that the next evidence is judged like a first one:
   * an operator has found why they went back or why the firmware version changed.
   */
  forgetCounters(lift: { nodeId: string; atSeconds: number; reason?: string }): Promise<void>;
  /** Changes one thing that operators decide about a node; `unchanged` when the node has ended. */
  markNode(mark: NodeMark): Promise<'changed' | 'unchanged'>;
  /**
   * Gives a node another channel. Its floor is forgotten, for that is kept for one channel, and its grants are closed.
   * `unchanged` when the node has ended or has that channel already.
   */
  moveNode(move: NodeMove): Promise<'changed' | 'unchanged'>;
  /**
   * What is listed for another channel already is moved when `replace` says so, and left where it is when not.
   */
  importListedEks(
    entries: readonly ListedEk[],
    options: { replace: boolean },
  ): Promise<{ added: number; known: number; moved: number; elsewhere: number }>;
  listListedEks(): Promise<ListedEk[]>;
  listVerdicts(query: { nodeId?: string; limit: number }): Promise<StoredVerdict[]>;
  findVerdict(id: number): Promise<StoredVerdict | undefined>;

  /** Forgets challenges and enrolments that expired before this moment, and old evidence. */
  purgeExpired(beforeSeconds: number): Promise<void>;
}

export interface NodeStatusChange {
  nodeId: string;
  from: readonly NodeStatus[];
  to: NodeStatus;
  admission?: NodeRecord['admission'];
  channel?: string;
  atSeconds: number;
  reason?: string;
}

export interface NodeMark {
  nodeId: string;
  /**
   * `rotate-ak`: its AK is good for nothing any more, the next generation may enrol, and its grants are closed.
   * `allow-new-ak`: its next enrolment may bring another AK, whatever the reason.
   * `reset-floor`: its next boot may come without a floor record, or with a lower one. Until then nothing is asked of
   *   the system that runs, and nothing that it shows is remembered.
   */
  mark: 'rotate-ak' | 'allow-new-ak' | 'assert-rom' | 'withdraw-rom' | 'reset-floor';
  atSeconds: number;
  reason?: string;
}

export interface NodeMove {
  nodeId: string;
  channel: string;
  atSeconds: number;
  reason: string;
}

export interface ListedEk {
  fingerprint: string;
  channel: string;
  comment: string;
  importedAtSeconds: number;
}

export type StoredVerdict = VerdictRecord & { id: number };
