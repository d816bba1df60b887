import { constants, verify } from 'node:crypto';
import { checkEvents } from '../../src/attestation/event-log/event-log-rules.ts';
import { verifyEvidence } from '../../src/attestation/verify.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { ALG } from '../../src/tpm/algorithms.ts';
import { parseEventLog } from '../../src/tpm/event-log.ts';
import { replayBank } from '../../src/tpm/event-log-replay.ts';
import { padInteger } from '../../src/tpm/public-key.ts';
import { parseTpmtSignature } from '../../src/tpm/signature.ts';
import { bootEvents, type WrittenEvent, writeLog } from '../attestation/event-log/event-log-writer.ts';
import { POLICY, pcrsOf, sealEvidence, validInput } from '../attestation/evidence-fixture.ts';
import { type AkKind, createSoftwareAk, hashOf, SHA256 } from '../attestation/software-ak.ts';
import type { Measurement } from './bench-process.ts';

const ROUNDS = 9;
const CALLS_PER_ROUND = 1500;

/**
 * Whole quote verifications per second on one core (decoding, checklist, signature) beside bare
 * `crypto.verify` of the same signature, in alternating rounds: the ratio is what counts, not the machine.
 */
export async function benchVerify(): Promise<Measurement[]> {
  const rsa = compare('rsassa');
  const ecdsa = compare('p256');
  return [...rsa, ...ecdsa, ...benchLog()];
}

function compare(kind: AkKind): Measurement[] {
  const name = kind === 'p256' ? 'P-256' : 'RSA-2048';
  const ak = createSoftwareAk(kind);
  const log = writeLog(bootEvents());
  const untrustedEvidence = sealEvidence({ ak, pcrs: pcrsOf(log) });
  const input = validInput({
    ak: ak.load(),
    untrustedEvidence,
    policy: { ...POLICY, eventLog: 'optional' },
  });
  if (verifyEvidence(input).verdict !== 'accept') throw new Error('the evidence to measure with is refused');
  const bare = bareVerify(ak.load().key, untrustedEvidence);
  const whole: number[] = [];
  const bareRates: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const wholeRate = rateOf(() => verifyEvidence(input), CALLS_PER_ROUND);
    const bareRate = rateOf(bare, CALLS_PER_ROUND);
    whole.push(wholeRate);
    bareRates.push(bareRate);
    ratios.push(wholeRate / bareRate);
  }
  return [
    { name: `quote verifications per second, ${name}`, value: middle(whole).toFixed(0), aim: '' },
    { name: `bare crypto.verify per second, ${name}`, value: middle(bareRates).toFixed(0), aim: '' },
    { name: `ratio to bare crypto.verify, ${name}`, value: middle(ratios).toFixed(2), aim: '≥ 0.70' },
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
  const filler = (): WrittenEvent => ({ pcr: 8, type: 0x0d, data: new Uint8Array(170).fill(0x67) });
  const events = [...bootEvents(), ...Array.from({ length: 111 - bootEvents().length }, filler)];
  const log = writeLog(events, banks);
  const evidence = sealEvidence({ log, pcrs: pcrsOf(log) });
  const input = validInput({ untrustedEvidence: evidence });
  if (verifyEvidence(input).verdict !== 'accept') throw new Error('the log to measure with is refused');
  const judgements = rateOf(() => judgeLog(log), CALLS_PER_ROUND);
  const wholes = rateOf(() => verifyEvidence(input), CALLS_PER_ROUND);
  const size = `${(log.length / 1024).toFixed(0)} KiB, ${events.length} events`;
  return [
    {
      name: `event logs parsed, replayed and held against the rules per second (${size})`,
      value: judgements.toFixed(0),
      aim: '≥ 3000',
    },
    { name: 'evidence with that log per second, P-256', value: wholes.toFixed(0), aim: '' },
  ];
}

function judgeLog(bytes: Uint8Array): void {
  const log = parseEventLog(bytes);
  replayBank(log, SHA256);
  const findings = checkEvents({ log, hash: SHA256, quotedPcrs: POLICY.pcrs, policyPcrs: POLICY.pcrs });
  if (findings.length > 0) throw new Error('the log to measure with breaks a rule');
}

/** Per second of this process's CPU: what else the machine does must not count. */
function rateOf(action: () => unknown, calls: number): number {
  for (let call = 0; call < calls / 10; call += 1) action();
  const before = process.cpuUsage();
  for (let call = 0; call < calls; call += 1) action();
  const { user, system } = process.cpuUsage(before);
  return (calls * 1e6) / (user + system);
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

if (import.meta.main)
  for (const line of await benchVerify()) console.log(`${line.name}: ${line.value} ${line.aim}`);
