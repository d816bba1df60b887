import { computeExtraData } from '../../src/attestation/evidence/extra-data.ts';
import {
  type EvidencePolicy,
  type EvidenceVerdict,
  type UntrustedEvidence,
  type VerifyEvidenceInput,
  verifyEvidence,
} from '../../src/attestation/verify.ts';
import { asciiBytes } from '../../src/core/bytes.ts';
import {
  buildQuote,
  createSoftwareAk,
  SHA256,
  type SoftwareAk,
} from '../../src/fleet-sim/chip/software-ak.ts';
import { bootEvents, writeLog } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { POLICY_PCRS, pcrsOf } from '../../src/fleet-sim/firmware/replayed-pcrs.ts';
import type { HashAlgorithm } from '../../src/tpm/algorithms.ts';
import type { QuoteAttest } from '../../src/tpm/attest.ts';

export { POLICY_PCRS, pcrsOf };

export const CHALLENGE = asciiBytes('header.payload.signature');
export const CLAIMS = asciiBytes('{"purpose":"boot"}');
export const EXTRA_DATA = computeExtraData({ challenge: CHALLENGE, claims: CLAIMS });

/** One key for all tests that do not care which: made once, never changed. */
export const AK = createSoftwareAk();

export const POLICY: EvidencePolicy = {
  bank: 'sha256',
  pcrs: POLICY_PCRS,
  eventLog: 'required',
  referenceValues: [],
};

export function sealEvidence(input: {
  ak?: SoftwareAk;
  log?: Uint8Array | undefined;
  pcrs: ReadonlyMap<number, Uint8Array>;
  extraData?: Uint8Array;
  changes?: Partial<QuoteAttest>;
  bank?: HashAlgorithm;
}): UntrustedEvidence {
  const { ak = AK, log, pcrs, extraData = EXTRA_DATA, changes = {}, bank = SHA256 } = input;
  const attest = buildQuote({ ak, extraData, pcrs, changes, bank });
  return {
    attest,
    signature: ak.sign(attest),
    pcrs: new Map([[bank.name, pcrs]]),
    ...(log && { eventLog: log }),
  };
}

export const BOOT_LOG = writeLog(bootEvents());

/** Evidence that is right in everything: each test takes it and changes one thing. */
export function validInput(changes: Partial<VerifyEvidenceInput> = {}): VerifyEvidenceInput {
  return {
    ak: AK.load(),
    expectedExtraData: EXTRA_DATA,
    untrustedEvidence: sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG) }),
    policy: POLICY,
    purpose: 'boot',
    ...changes,
  };
}

/** A quote that agrees with `log`: only what the log says of itself can be wrong. */
export function verdictOnLog(log: Uint8Array, pcrs = pcrsOf(log)): EvidenceVerdict {
  return verifyEvidence(validInput({ untrustedEvidence: sealEvidence({ log, pcrs }) }));
}

export function codesOf(verdict: { reasons: readonly { code: string }[] }): string[] {
  return [...new Set(verdict.reasons.map(({ code }) => code))];
}
