import { fromHex } from '../../core/bytes.ts';
import type { SubmittedEvidence } from '../services/submitted-evidence.ts';
import { decodeBase64, type EvidenceBody } from './wire.ts';

/** @throws {Problem} `request-invalid`, naming the field */
export function decodeEvidence(body: EvidenceBody): SubmittedEvidence {
  const pcrs = Object.entries(body.pcrs.sha256).map(([pcr, value]) => [Number(pcr), fromHex(value)] as const);
  return {
    challenge: body.challenge,
    claims: decodeBase64('claims', body.claims),
    untrusted: {
      attest: decodeBase64('attest', body.attest),
      signature: decodeBase64('signature', body.signature),
      pcrs: new Map([['sha256', new Map(pcrs)]]),
      ...(body.eventLog !== undefined && { eventLog: decodeBase64('eventLog', body.eventLog) }),
    },
  };
}
