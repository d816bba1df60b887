import { createPublicKey } from 'node:crypto';
import { parseClaims } from '../../../src/attestation/evidence/claims.ts';
import { readEvidenceFields } from '../../../src/attestation/evidence/evidence-fields.ts';
import {
  encodeEvidenceDocument,
  type VerdictDocument,
  verifyEvidenceDocument,
} from '../../../src/attestation/evidence/evidence-file.ts';
import { parseEvidenceJson } from '../../../src/attestation/evidence/evidence-json.ts';
import { readQuotedLog } from '../../../src/attestation/evidence/quoted-log.ts';
import type { UntrustedFloor } from '../../../src/attestation/floor/floor-certification.ts';
import { floorKeyNameOf, parseFloorKey } from '../../../src/attestation/floor/floor-key.ts';
import {
  channelHashOf,
  encodeFloorRecord,
  type FloorRecord,
  parseFloorRecord,
  versionsOf,
} from '../../../src/attestation/floor/floor-record.ts';
import { verifyEkPublic } from '../../../src/attestation/keys/ek-public.ts';
import { verifyEvidence } from '../../../src/attestation/verify.ts';
import { EMPTY, fromHex, sha256, toBase64, toHex, utf8Bytes } from '../../../src/core/bytes.ts';
import { buildNvCertify, CLOCK_INFO, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { parseTpmsAttest } from '../../../src/tpm/attest.ts';
import { makeCredential } from '../../../src/tpm/credential.ts';
import { computeName } from '../../../src/tpm/name.ts';
import { encodeTpmsNvPublic, parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';
import { parseTpmtPublic } from '../../../src/tpm/public-area.ts';
import { createEk } from '../../attestation/endorsement/certificate-maker.ts';
import {
  AK,
  BOOT_LOG,
  CHALLENGE,
  CLAIMS,
  EXTRA_DATA,
  POLICY,
  pcrsOf,
  sealEvidence,
  validInput,
} from '../../attestation/evidence-fixture.ts';
import { type FuzzTarget, requireNoCrash, requireSame, Violation } from '../target.ts';

export const ATTESTATION_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'evidence-file',
    format: 'json',
    prepare: () => {
      const seeds = evidenceFiles();
      const signed = new Set(seeds.map((seed) => attestOf(seed)));
      return { seeds, examine: (input) => examineEvidenceFile(input, signed) };
    },
  },
  {
    // Signed by the right key whatever it says: the rules behind the signature get to see it.
    name: 'signed-quote',
    format: 'bytes',
    prepare: () => ({
      seeds: [sealEvidence({ pcrs: pcrsOf(BOOT_LOG) }).attest],
      examine: (attest) => {
        const evidence = sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG) });
        const untrustedEvidence = { ...evidence, attest, signature: AK.sign(attest) };
        const verdict = requireNoCrash(verifyEvidence(validInput({ untrustedEvidence })));
        if (verdict.verdict === 'accept') requireAnswer(attest);
        return verdict;
      },
    }),
  },
  {
    name: 'signed-floor',
    format: 'bytes',
    prepare: () => ({
      seeds: [certifiedFloor().attest],
      examine: (attest) => {
        const floor = { ...certifiedFloor(), attest, signature: AK.sign(attest) };
        const untrustedEvidence = { ...sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG) }), floor };
        const verdict = requireNoCrash(verifyEvidence(validInput({ untrustedEvidence })));
        if (verdict.verdict === 'accept') requireCertified(attest, floor.contents);
        return verdict;
      },
    }),
  },
  {
    name: 'floor-record',
    format: 'bytes',
    prepare: () => ({
      seeds: [encodeFloorRecord(FLOOR_RECORD)],
      examine: (input) => {
        const record = parseFloorRecord(input);
        requireSame(encodeFloorRecord(record), input);
        return record;
      },
    }),
  },
  {
    name: 'floor-key',
    format: 'bytes',
    prepare: () => ({
      seeds: [P256_SPKI],
      examine: (input) => {
        const spki = parseFloorKey(toBase64(input));
        requireSame(spki, input);
        return floorKeyNameOf(spki);
      },
    }),
  },
  {
    name: 'quoted-log',
    format: 'json',
    prepare: () => ({
      seeds: evidenceFiles(),
      examine: (input) => {
        const log = readQuotedLog(input);
        if (log.fault !== undefined) requireNoCrash({ reasons: [log.fault] });
        return log;
      },
    }),
  },
  {
    name: 'claims',
    format: 'json',
    prepare: () => ({ seeds: [claims()], examine: parseClaims }),
  },
  {
    name: 'ek-public',
    format: 'bytes',
    prepare: async () => ({
      seeds: [(await createEk()).ekPublic.raw],
      examine: (input) => {
        const ekPublic = parseTpmtPublic(input);
        verifyEkPublic(ekPublic);
        makeCredential({
          ekPublic,
          objectName: new Uint8Array(34),
          credential: new Uint8Array(32),
          random: (length) => new Uint8Array(length).fill(1),
        });
        return ekPublic;
      },
    }),
  },
];

const FLOOR_RECORD: FloorRecord = {
  channelHash: channelHashOf('demo'),
  root: 1,
  targets: 2,
  snapshot: 300,
  channel: Number.MAX_SAFE_INTEGER,
  signedAtSeconds: 1_800_000_000,
};
/** The generator of P-256: nobody's key. */
const P256_SPKI = fromHex(
  '3059301306072a8648ce3d020106082a8648ce3d03010703420004' +
    '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
    '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
);
const FLOOR_RULE = {
  required: true,
  channelHash: FLOOR_RECORD.channelHash,
  lowest: versionsOf(FLOOR_RECORD),
  published: versionsOf(FLOOR_RECORD),
};

function evidenceFiles(): Uint8Array[] {
  const pcrs = pcrsOf(BOOT_LOG);
  const evidence = sealEvidence({ log: BOOT_LOG, pcrs });
  const fields = {
    akPublic: AK.publicBytes,
    expectedExtraData: EXTRA_DATA,
    ...evidence,
    policy: POLICY,
  };
  const previous = { clock: 1n, resetCount: 7, restartCount: 2, firmwareVersion: 1n };
  const session = { releaseDigest: new Uint8Array(32), resetCount: 7, restartCount: 2 };
  return [
    encodeEvidenceDocument(fields),
    encodeEvidenceDocument({ ...fields, floor: certifiedFloor() }),
    encodeEvidenceDocument({
      ...fields,
      floor: certifiedFloor(encodeFloorRecord(FLOOR_RECORD)),
      policy: { ...POLICY, floor: FLOOR_RULE },
    }),
    encodeEvidenceDocument({ ...fields, binding: { challenge: CHALLENGE, claims: CLAIMS }, previous }),
    encodeEvidenceDocument({
      ...fields,
      purpose: 'health',
      session,
      policy: { ...POLICY, referenceValues: [{ pcr: 4, accepted: [pcrs.get(4) ?? new Uint8Array(32)] }] },
    }),
  ].map(utf8Bytes);
}

function certifiedFloor(contents: Uint8Array = new Uint8Array(64).fill(1)): UntrustedFloor {
  const nvPublic = encodeTpmsNvPublic({
    nvIndex: 0x0180_0001,
    nameAlg: SHA256,
    attributes: 0x2004_0004,
    authPolicy: new Uint8Array(32),
    dataSize: contents.length,
  });
  const indexName = computeName(parseTpmsNvPublic(nvPublic));
  const attest = buildNvCertify({ extraData: EXTRA_DATA, indexName, contents });
  return { nvPublic, attest, signature: AK.sign(attest), contents };
}

/** Nothing is accepted that our AK did not sign, and no verdict is a crash in disguise. */
function examineEvidenceFile(input: Uint8Array, signed: ReadonlySet<string>): VerdictDocument {
  const verdict = requireNoCrash(verifyEvidenceDocument(input));
  if (verdict.verdict === 'accept' && !signed.has(attestOf(input)))
    throw new Violation('a quote is accepted that was never signed');
  return verdict;
}

/** What is accepted answers our challenge, and quotes the values that came. */
function requireAnswer(attest: Uint8Array): void {
  const quote = parseTpmsAttest(attest);
  if (quote.type !== 'quote' || toHex(quote.extraData) !== toHex(EXTRA_DATA))
    throw new Violation('what is accepted answers nothing of ours');
  const values = pcrsOf(BOOT_LOG);
  const quoted = quote.selections.flatMap(({ hash, pcrs }) => (hash === SHA256 ? pcrs : [-1]));
  const digest = sha256(...quoted.map((pcr) => values.get(pcr) ?? EMPTY));
  if (toHex(digest) !== toHex(quote.pcrDigest) || POLICY.pcrs.some((pcr) => !quoted.includes(pcr)))
    throw new Violation('what is accepted does not quote the values that came');
}

/** A floor that is accepted was certified for our challenge, whole, in the session of the quote. */
function requireCertified(attest: Uint8Array, contents: Uint8Array): void {
  const floor = parseTpmsAttest(attest);
  const { resetCount, restartCount } = floor.clockInfo;
  const isOurs =
    floor.type === 'nv' &&
    toHex(floor.extraData) === toHex(EXTRA_DATA) &&
    floor.offset === 0 &&
    toHex(floor.contents) === toHex(contents) &&
    resetCount === CLOCK_INFO.resetCount &&
    restartCount === CLOCK_INFO.restartCount;
  if (!isOurs) throw new Violation('a floor is accepted that was certified for something else');
}

function attestOf(document: Uint8Array): string {
  return toHex(readEvidenceFields(parseEvidenceJson(document)).attest);
}

function claims(): Uint8Array {
  const ephemeralKey = createPublicKey(AK.privateKey).export({ type: 'spki', format: 'der' });
  return utf8Bytes(
    JSON.stringify({
      purpose: 'boot',
      serverKey: 'aa'.repeat(32),
      ekFingerprint: 'bb'.repeat(32),
      ephemeralKey: toBase64(ephemeralKey),
      eventLogSha256: 'cc'.repeat(32),
      stage0Build: 7,
    }),
  );
}
