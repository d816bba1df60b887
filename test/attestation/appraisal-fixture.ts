import { generateKeyPairSync } from 'node:crypto';
import {
  type Appraisal,
  type AppraisalInput,
  type Attester,
  appraise,
} from '../../src/attestation/appraisal.ts';
import { computeExtraData } from '../../src/attestation/evidence/extra-data.ts';
import type { Baseline } from '../../src/attestation/policy/baseline.ts';
import { builtInPolicy, type PcrRule, type Policy } from '../../src/attestation/policy/policy.ts';
import type { Stage0Reference } from '../../src/attestation/policy/stage0-matching.ts';
import type { Purpose } from '../../src/attestation/quote/purpose.ts';
import { asciiBytes, EMPTY, fromHex, sha256, toBase64, toHex, utf8Bytes } from '../../src/core/bytes.ts';
import { CLOCK_INFO, FIRMWARE_VERSION } from '../../src/fleet-sim/chip/software-ak.ts';
import { bootEvents, type WrittenEvent, writeLog } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { secureBootEvents } from '../../src/fleet-sim/firmware/secure-boot-events.ts';
import { EVENT_TYPE } from '../../src/tpm/event-types.ts';
import { AK, pcrsOf, sealEvidence } from './evidence-fixture.ts';

export const NOW = 1_800_000_000;
export const RELEASE = toHex(sha256(asciiBytes('the release manifest')));
const CHALLENGE = 'header.payload.signature';
const SERVER_KEY = toHex(sha256(asciiBytes('our server key')));
const EK = toHex(sha256(asciiBytes('an endorsement key')));
const CLIENT_SPKI = new Uint8Array(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' }),
);

/** All that firmware and stub log while the first stage-0 below is started. */
export function stage0Events(pcr7: readonly WrittenEvent[] = secureBootEvents()): WrittenEvent[] {
  return [...bootEvents().filter(({ pcr }) => pcr < 7 || pcr === 11), ...pcr7];
}

export const LOG = writeLog(stage0Events());

/** The one that this log shows. */
export const STAGE0: Stage0Reference = {
  sha256: toHex(sha256(asciiBytes('stage-0'))),
  build: 41,
  architecture: 'x86-64',
  authenticodeSha256: toHex(sha256(asciiBytes('the Authenticode digest of stage-0'))),
  listed: true,
  pcr4SecureBoot: pcrHex(4),
  pcr4NoSecureBoot: toHex(sha256(fromHex(pcrHex(4)), sha256(asciiBytes('its kernel')))),
  pcr11: pcrHex(11),
};

export const NEXT_STAGE0: Stage0Reference = {
  sha256: toHex(sha256(asciiBytes('the next stage-0'))),
  build: 42,
  architecture: 'x86-64',
  authenticodeSha256: toHex(sha256(asciiBytes('its Authenticode digest'))),
  listed: true,
  pcr4SecureBoot: '42'.repeat(32),
  pcr11: '43'.repeat(32),
};

export function pcrHex(pcr: number, log = LOG): string {
  return toHex(pcrsOf(log).get(pcr) ?? EMPTY);
}

export function baselineOf(log = LOG, changes: Partial<Baseline> = {}): Baseline {
  return {
    pcrs: Object.fromEntries([...pcrsOf(log)].map(([pcr, value]) => [pcr, toHex(value)])),
    eventLog: new Uint8Array(log),
    approvedBy: 'first-boot',
    approvedAtSeconds: NOW - 86_400,
    ...changes,
  };
}

export const BUILT_IN = builtInPolicy({ eventLog: 'required', secureBoot: 'required' });
export const LOGLESS = builtInPolicy({ eventLog: 'optional', secureBoot: 'optional' });

/** The built-in one with these rules instead. */
export function policyWith(rules: Record<number, PcrRule>, changes: Partial<Policy> = {}): Policy {
  const pcrs = { ...BUILT_IN.pcrs, ...rules };
  return { ...BUILT_IN, pcrs, pcrsAfterHandover: pcrs, ...changes };
}

export interface Changes extends Omit<Partial<AppraisalInput>, 'attester' | 'untrustedEvidence'> {
  log?: Uint8Array | undefined;
  /** Quoted values that the log doesn't give. */
  pcrs?: Record<number, string>;
  claims?: Record<string, unknown>;
  attester?: Partial<Attester>;
  /** The exact bytes, whatever the rest says. */
  claimBytes?: Uint8Array;
}

/** What an admitted node sends at its first boot, right in everything; each test changes one thing. */
export function appraisalInput(changes: Changes = {}): AppraisalInput {
  const { log = LOG, pcrs = {}, claims = {}, attester, claimBytes, ...rest } = changes;
  const sent = 'log' in changes ? changes.log : log;
  const purpose: Purpose = changes.purpose ?? 'boot';
  const untrustedClaims =
    claimBytes ??
    utf8Bytes(
      JSON.stringify({
        purpose,
        serverKey: SERVER_KEY,
        ekFingerprint: EK,
        ephemeralKey: toBase64(CLIENT_SPKI),
        eventLogSha256: toHex(sha256(sent ?? EMPTY)),
        stage0Build: 41,
        ...claims,
      }),
    );
  const quoted = new Map([...pcrsOf(log)].map(([pcr, value]) => [pcr, bytesOf(pcrs[pcr]) ?? value]));
  return {
    purpose,
    challenge: CHALLENGE,
    untrustedClaims,
    untrustedEvidence: sealEvidence({
      log: sent,
      pcrs: quoted,
      extraData: computeExtraData({ challenge: asciiBytes(CHALLENGE), claims: untrustedClaims }),
    }),
    attester: {
      akPublic: AK.publicBytes,
      ekFingerprints: [EK],
      identity: 'certified',
      admission: 'listed',
      romAsserted: false,
      ...attester,
    },
    connection: { clientSpki: CLIENT_SPKI, serverKeys: [SERVER_KEY] },
    stage0References: [NEXT_STAGE0, STAGE0],
    policy: BUILT_IN,
    firmwareApprovals: [],
    nowSeconds: NOW,
    ...rest,
  };
}

function bytesOf(hex: string | undefined): Uint8Array | undefined {
  return hex === undefined ? undefined : fromHex(hex);
}

/** The same machine after its hand-over: PCR 14 extended once, in the session that its boot began. */
export function runningInput(changes: Changes = {}): AppraisalInput {
  return appraisalInput({
    purpose: 'reattest',
    ...changes,
    pcrs: { 14: HANDED_OVER, ...changes.pcrs },
    attester: { session: SESSION, baseline: baselineOf(), ...changes.attester },
  });
}

export const HANDED_OVER = toHex(sha256(new Uint8Array(32), fromHex(RELEASE)));

export const SESSION = {
  releaseDigest: RELEASE,
  stage0Sha256: STAGE0.sha256,
  resetCount: CLOCK_INFO.resetCount,
  restartCount: CLOCK_INFO.restartCount,
  startedAtSeconds: NOW - 3600,
  provenAtSeconds: NOW - 1800,
};

export const COUNTERS = {
  clock: CLOCK_INFO.clock,
  resetCount: CLOCK_INFO.resetCount,
  restartCount: CLOCK_INFO.restartCount,
  firmwareVersion: FIRMWARE_VERSION,
};

/** As it goes to the thread that decides, and comes back. */
export function decide(input: AppraisalInput): Appraisal {
  return structuredClone(appraise(structuredClone(input)));
}

export function reasonsIn({ reasons }: Appraisal): string[] {
  return [...new Set(reasons.map(({ code }) => code))];
}

export function notesIn({ notes }: Appraisal): string[] {
  return [...new Set(notes.map(({ code }) => code))];
}

/** What firmware starts beside stage-0. */
export function started(what: string, pcr = 4): WrittenEvent {
  return {
    pcr,
    type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
    data: asciiBytes(what),
    hashed: asciiBytes(`the digest of ${what}`),
  };
}
