import type { FuzzTarget } from './target.ts';
import { ATTESTATION_TARGETS } from './targets/attestation.ts';
import { CERTIFICATE_TARGETS } from './targets/certificates.ts';
import { CORE_TARGETS } from './targets/core.ts';
import { EVENT_LOG_TARGETS } from './targets/event-logs.ts';
import { METADATA_TARGETS } from './targets/metadata.ts';
import { POLICY_TARGETS } from './targets/policy.ts';
import { SIGNING_TARGETS } from './targets/signing.ts';
import { TPM_TARGETS } from './targets/tpm.ts';

/** Everything that reads bytes of an attacker. A new parser belongs here. */
export const TARGETS: readonly FuzzTarget[] = [
  ...CORE_TARGETS,
  ...TPM_TARGETS,
  ...EVENT_LOG_TARGETS,
  ...ATTESTATION_TARGETS,
  ...POLICY_TARGETS,
  ...CERTIFICATE_TARGETS,
  ...METADATA_TARGETS,
  ...SIGNING_TARGETS,
];

export function targetNamed(name: string): FuzzTarget {
  const target = TARGETS.find((candidate) => candidate.name === name);
  if (target === undefined)
    throw new Error(`no target ${name}; there are ${TARGETS.map((t) => t.name).join(', ')}`);
  return target;
}
