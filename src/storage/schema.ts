import type { Generated } from 'kysely';
import type { Admission, Identity, NodeStatus, PlatformState } from '../attestation/node.ts';
import type { Baseline, FirmwareApproval } from '../attestation/policy/baseline.ts';
import type { Purpose } from '../attestation/quote/purpose.ts';
import type { BootAttempt, Experience, FailureKind } from '../releases/node-releases.ts';

/** Rows as they are in the tables; times are Unix seconds, 64-bit TPM values decimal text. */
export interface Schema {
  nodes: {
    id: string;
    channel: string;
    status: NodeStatus;
    identity: Identity;
    admission: Admission;
    state: PlatformState | null;
    ak_public: Uint8Array;
    ak_name: string;
    untrusted_hints: string;
    reset_count: number | null;
    restart_count: number | null;
    clock: string | null;
    firmware_version: string | null;
    created_at: number;
    last_verdict_at: number | null;
    ak_generation: Generated<number>;
    ak_may_change: Generated<number>;
    ak_rotation_due: Generated<number>;
    rom_asserted: Generated<number>;
    session_release_digest: string | null;
    session_stage0_sha256: string | null;
    session_reset_count: number | null;
    session_restart_count: number | null;
    session_started_at: number | null;
    session_proven_at: number | null;
    suspect_since: number | null;
    suspect_reason: string | null;
    floor_record: Uint8Array | null;
    floor_expected: Generated<number>;
    floor_missed: Generated<number>;
    floor_reset: Generated<number>;
  };
  retired_aks: { ak_name: string; node_id: string; retired_at: number };
  endorsement_keys: EndorsementKeyColumns & { node_id: string };
  listed_eks: { fingerprint: string; channel: string; comment: string; imported_at: number };
  challenges: {
    sha256: string;
    ak_name: string;
    purpose: Purpose;
    enrolment_id: string | null;
    issued_at: number;
    expires_at: number;
    consumed_at: number | null;
  };
  enrolments: {
    id: string;
    ak_public: Uint8Array;
    ak_name: string;
    client_thumbprint: string;
    untrusted_hints: string;
    expires_at: number;
    node_id: string | null;
    token_sha256: string | null;
    notes: Generated<string>;
  };
  enrolment_tokens: {
    sha256: string;
    channel: string;
    comment: string;
    created_at: number;
    expires_at: number;
    used_by: string | null;
  };
  policies: {
    name: string;
    version: number;
    /** JSON list. */
    channels: string;
    document: string;
    applied_at: number;
    in_force: number;
  };
  policy_channels: { channel: string; policy_name: string };
  baselines: {
    node_id: string;
    pcrs: string;
    event_log: Uint8Array | null;
    approved_by: Baseline['approvedBy'];
    approved_at: number;
  };
  firmware_approvals: {
    id: Generated<number>;
    name: string;
    scope_kind: FirmwareApproval['scope']['kind'];
    scope_value: string | null;
    pcrs: string;
    verdict_id: number;
    approved_at: number;
    reason: string;
  };
  enrolment_credentials: EndorsementKeyColumns & { enrolment_id: string; secret_sha256: string };
  verdicts: {
    id: Generated<number>;
    node_id: string | null;
    ak_name: string;
    purpose: Purpose;
    verdict: 'accept' | 'refuse' | 'hold';
    reasons: string;
    notes: string;
    facts: string | null;
    release_digest: string | null;
    evidence_document: string | null;
    at: number;
  };
  grants: {
    id: string;
    node_id: string;
    channel: string;
    version: number;
    release_digest: string;
    client_thumbprint: string;
    issued_at: number;
    expires_at: number;
    closed_at: number | null;
  };
  /** One document of the whole state of a channel, replaced by its next revision. */
  channels: { name: string; revision: number; document: string };
  node_choices: { node_id: string; rollout_group: string | null; pinned_digest: string | null };
  node_releases: {
    node_id: string;
    release_digest: string;
    version: number;
    experience: Experience;
    failed_tries: number;
    reset_count: number;
    restart_count: number;
    granted_at: number;
    outcome: BootAttempt['outcome'];
    rollout_id: string | null;
    healthy_at: number | null;
    failure_kind: FailureKind | null;
    failure_at: number | null;
    report: string | null;
    report_at: number | null;
  };
  metadata_files: { name: string; bytes: Uint8Array; published_at: number };
  /** Verified roots of publications that were refused otherwise; the next publication replaces them. */
  kept_roots: { name: string; bytes: Uint8Array; kept_at: number };
  stage0_images: {
    sha256: string;
    build: number;
    architecture: string;
    pcr4_secure_boot: string;
    pcr4_no_secure_boot: string | null;
    pcr11: string;
    withdrawn_at: number | null;
    /** Of the last listing that had one. */
    floor_key: string | null;
  };
  audit_events: { id: Generated<number>; at: number; kind: string; subject: string; detail: string };
}

interface EndorsementKeyColumns {
  fingerprint: string;
  public_area: Uint8Array;
  certificate: Uint8Array | null;
  manufacturer: string | null;
  identity: Identity;
}
