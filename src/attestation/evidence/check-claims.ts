import { bytesEqual, EMPTY, fromHex, sha256, toHex } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { Purpose } from '../quote/purpose.ts';
import type { Finding } from '../reasons.ts';
import type { Claims } from './claims.ts';

/** What this side knows for itself of what a node claims. */
export interface ClaimsContext {
  purpose: Purpose;
  attester: { ekFingerprints: readonly string[] };
  connection: { clientSpki: Uint8Array; serverKeys: readonly string[] };
  untrustedEvidence: { eventLog?: Uint8Array };
  untrustedReport?: Uint8Array;
}

/** Each claim is bound into the quote; here it is held against what this side knows for itself. */
export function checkClaims(claims: Claims, input: ClaimsContext): Finding[] {
  const { connection, attester, untrustedEvidence } = input;
  const logDigest = sha256(untrustedEvidence.eventLog ?? EMPTY);
  return [
    claims.purpose === input.purpose
      ? undefined
      : finding(
          'purpose-mismatch',
          `the challenge asked for ${input.purpose}, the claims say ${claims.purpose}`,
        ),
    connection.serverKeys.includes(claims.serverKey)
      ? undefined
      : finding(
          'server-key-mismatch',
          `the node saw server key ${short(claims.serverKey)}, ours are ${connection.serverKeys.map(short).join(', ')}: somebody is in between`,
        ),
    attester.ekFingerprints.includes(claims.ekFingerprint)
      ? undefined
      : finding(
          'claims-ek-mismatch',
          `the claims name endorsement key ${short(claims.ekFingerprint)}, expected ${attester.ekFingerprints.map(short).join(' or ')}`,
        ),
    bytesEqual(claims.ephemeralKey, connection.clientSpki)
      ? undefined
      : finding(
          'ephemeral-key-mismatch',
          `the connection proves key ${shortHex(sha256(connection.clientSpki))}, the claims name ${shortHex(sha256(claims.ephemeralKey))}`,
        ),
    bytesEqual(fromHex(claims.eventLogSha256), logDigest)
      ? undefined
      : finding(
          'claims-event-log-mismatch',
          `the claims name event log ${short(claims.eventLogSha256)}, the one that came is ${shortHex(logDigest)}`,
        ),
    checkReport(claims, input),
  ].filter((fault) => fault !== undefined);
}

function checkReport(
  { reportSha256 }: Claims,
  { untrustedReport: report }: ClaimsContext,
): Finding | undefined {
  const came = report && toHex(sha256(report));
  if (reportSha256 === came) return undefined;
  return finding(
    'claims-report-mismatch',
    `the claims name ${reportSha256 ? `report ${short(reportSha256)}` : 'no report'}, ${came ? `the one that came is ${short(came)}` : 'none came'}`,
  );
}

/** Of a digest in hex. */
function short(hex: string): string {
  return shortHex(fromHex(hex));
}

function finding(code: Finding['code'], message: string): Finding {
  return { code, message };
}
