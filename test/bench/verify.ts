import { constants, verify } from 'node:crypto';
import { verifyEkCertificate } from '../../src/attestation/endorsement/ek-certificate.ts';
import { mergeTrustAnchors, parseTrustAnchors } from '../../src/attestation/endorsement/trust-anchors.ts';
import { verifyQuote } from '../../src/attestation/quote/quote.ts';
import { verifyEvidence } from '../../src/attestation/verify.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { type Authority, createAuthority, issueEk } from '../../src/fleet-sim/chip/manufacturer.ts';
import { type AkKind, createSoftwareAk, hashOf, SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import { bootEvents, type WrittenEvent, writeLog } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../src/tpm/algorithms.ts';
import { parseEventLog } from '../../src/tpm/event-log.ts';
import { replayBank } from '../../src/tpm/event-log-replay.ts';
import { padInteger } from '../../src/tpm/public-key.ts';
import { parseTpmtSignature } from '../../src/tpm/signature.ts';
import { createEk, NOW_MS } from '../attestation/endorsement/certificate-maker.ts';
import { EXTRA_DATA, POLICY, pcrsOf, sealEvidence, validInput } from '../attestation/evidence-fixture.ts';
import { type Measurement, spreadOf } from './bench-process.ts';
import { benchCheckquote } from './checkquote.ts';

/** All figures are of one core: they count the CPU time of this process, not what else the machine does. */
export async function benchVerify(): Promise<Measurement[]> {
  return [
    ...benchQuote('rsassa', 'RSA-2048'),
    ...benchQuote('p256', 'P-256'),
    ...(await benchCheckquote()),
    ...benchLog(),
    ...(await benchEk()),
  ];
}

const ROUNDS = 15;
const ROUND_MS = 100;
const WARM_UP_MS = 800;

/**
 * Whole quote verifications (decoding, extraData, signature, selection, PCR digest) beside bare `crypto.verify`
 * of the same signature with the same key object, in alternating rounds: the ratio is what counts.
 */
function benchQuote(kind: AkKind, name: string): Measurement[] {
  const ak = createSoftwareAk(kind);
  const untrusted = sealEvidence({ ak, pcrs: pcrsOf(writeLog(bootEvents())) });
  const loaded = ak.load();
  const quote = () => verifyQuote({ ak: loaded, expectedExtraData: EXTRA_DATA, untrusted, policy: POLICY });
  const [whole, bare] = ratesOf(quote, bareVerify(loaded.key, untrusted));
  const ratio = whole.map((rate, round) => rate / (bare[round] ?? Number.NaN));
  return [
    { name: `quotes verified per second, ${name}`, value: spreadOf(whole, 0), aim: '' },
    { name: `bare crypto.verify per second, ${name}`, value: spreadOf(bare, 0), aim: '' },
    { name: `ratio to bare crypto.verify, ${name}`, value: spreadOf(ratio, 3), aim: '≥ 0.90' },
  ];
}

function bareVerify(
  key: ReturnType<ReturnType<typeof createSoftwareAk>['load']>['key'],
  { attest, signature }: { attest: Uint8Array; signature: Uint8Array },
): () => boolean {
  const parsed = parseTpmtSignature(signature);
  if (parsed.scheme === ALG.ECDSA) {
    const pair = concatBytes(padInteger(parsed.r, 32), padInteger(parsed.s, 32));
    return () => verify('sha256', attest, { key, dsaEncoding: 'ieee-p1363' }, pair);
  }
  const { signature: bytes } = parsed;
  return () => verify('sha256', attest, { key, padding: constants.RSA_PKCS1_PADDING }, bytes);
}

/** A log of the size that GCE machines have: three banks, 111 events, 34 KB. */
function benchLog(): Measurement[] {
  const banks = [hashOf(ALG.SHA1), SHA256, hashOf(ALG.SHA384)];
  const filler = (): WrittenEvent => ({ pcr: 8, type: 0x0d, data: new Uint8Array(218).fill(0x67) });
  const events = [...bootEvents(), ...Array.from({ length: 111 - bootEvents().length }, filler)];
  const log = writeLog(events, banks);
  const evidence = sealEvidence({ log, pcrs: pcrsOf(log) });
  const input = validInput({ untrustedEvidence: evidence });
  if (verifyEvidence(input).verdict !== 'accept') throw new Error('the log to measure with is refused');
  const [replays, wholes] = ratesOf(
    () => replayBank(parseEventLog(log), SHA256),
    () => verifyEvidence(input),
  );
  const size = `${(log.length / 1000).toFixed(0)} KB, ${events.length} events`;
  return [
    {
      name: `event logs parsed and replayed per second (${size})`,
      value: spreadOf(replays, 0),
      aim: '≥ 3000',
    },
    { name: 'evidence with that log per second, P-256', value: spreadOf(wholes, 0), aim: '' },
  ];
}

const NAMESAKES = 64;

/** A manufacturer's usual hierarchy, and the most work that a leaf can make: no namesake has signed it. */
async function benchEk(): Promise<Measurement[]> {
  const root = await createAuthority('bench root');
  const intermediate = await createAuthority('bench intermediate', root);
  const { publicKey, ekPublic } = await createEk();
  const certificate = await issueEk(publicKey, intermediate);
  const anchors = anchorsOf([root, intermediate]);
  const [rates] = ratesOf(() => verifyEkCertificate({ certificate, ekPublic, anchors, nowMs: NOW_MS }));

  const namesakes: Authority[] = [];
  while (namesakes.length < NAMESAKES) namesakes.push(await createAuthority(intermediate.name));
  const many = { certificate, ekPublic, anchors: anchorsOf(namesakes), nowMs: NOW_MS };
  const [refusals] = ratesOf(() => refusalOf(() => verifyEkCertificate(many)));
  return [
    {
      name: 'EK certificates verified per second (P-256, one intermediate)',
      value: spreadOf(rates, 0),
      aim: '≥ 1500',
    },
    {
      name: `ms for an EK certificate with ${NAMESAKES} CAs of its issuer's name`,
      value: spreadOf(
        refusals.map((rate) => 1000 / rate),
        1,
      ),
      aim: '≤ 20',
    },
  ];
}

function anchorsOf(authorities: readonly Authority[]) {
  return mergeTrustAnchors(authorities.map(({ certificate }) => parseTrustAnchors(certificate)));
}

function refusalOf(action: () => unknown): unknown {
  try {
    action();
  } catch (cause) {
    return cause;
  }
  throw new Error('what should be refused was accepted');
}

type Rates = [number[], number[]];

/** Of two actions in turns, warm, per second of this process's CPU time, round by round. */
function ratesOf(one: () => unknown, other: () => unknown = one): Rates {
  const calls = [callsPerRound(one), callsPerRound(other)] as const;
  const rates: Rates = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    rates[0].push(rateOf(one, calls[0]));
    rates[1].push(rateOf(other, calls[1]));
  }
  return rates;
}

/** Warms up, then knows how often the action fits into a round. */
function callsPerRound(action: () => unknown): number {
  const until = performance.now() + WARM_UP_MS;
  let calls = 0;
  for (; performance.now() < until; calls += 1) action();
  return Math.ceil((calls * ROUND_MS) / WARM_UP_MS);
}

function rateOf(action: () => unknown, calls: number): number {
  const before = process.cpuUsage();
  for (let call = 0; call < calls; call += 1) action();
  const { user, system } = process.cpuUsage(before);
  return (calls * 1e6) / (user + system);
}

if (import.meta.main) console.table(await benchVerify());
