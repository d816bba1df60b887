import type { Generated } from 'kysely';
import type { Admission, Identity, NodeStatus, PlatformState } from '../attestation/node.ts';
import type { Purpose } from '../attestation/quote/purpose.ts';

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
  };
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
  metadata_files: { name: string; bytes: Uint8Array; published_at: number };
  stage0_images: {
    sha256: string;
    build: number;
    architecture: string;
    pcr4_secure_boot: string;
    pcr4_no_secure_boot: string | null;
    pcr11: string;
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
