import { fromHex } from '../../core/bytes.ts';
import { Problem } from '../problems.ts';
import type { SubmittedEvidence } from '../services/submitted-evidence.ts';
import { decodeBase64, type EvidenceBody, MAX_EVENT_LOG_BYTES } from './wire.ts';

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
      ...(body.eventLog !== undefined && { eventLog: decodeEventLog(body.eventLog) }),
      ...(body.floor && { floor: decodeFloor(body.floor) }),
    },
    ...(body.report !== undefined && { untrustedReport: decodeBase64('report', body.report) }),
  };
}

function decodeFloor({ attest, signature, contents }: NonNullable<EvidenceBody['floor']>) {
  return {
    attest: decodeBase64('floor.attest', attest),
    signature: decodeBase64('floor.signature', signature),
    contents: decodeBase64('floor.contents', contents),
  };
}

function decodeEventLog(text: string): Uint8Array {
  if (text.length === 0 || text.length > Math.ceil(MAX_EVENT_LOG_BYTES / 3) * 4)
    throw new Problem('request-invalid', `body.eventLog: expected 1 to ${MAX_EVENT_LOG_BYTES} bytes`, {
      members: { field: 'eventLog' },
    });
  return decodeBase64('eventLog', text);
}
