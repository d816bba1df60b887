import { EVIDENCE_LOG_LIMITS } from '../../src/attestation/event-log/event-log-appraisal.ts';
import { encodeEvidenceDocument } from '../../src/attestation/evidence/evidence-file.ts';
import { MAX_EVIDENCE_BYTES } from '../../src/attestation/evidence/evidence-json.ts';
import { concatBytes, EMPTY } from '../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import {
  bootEvents,
  le32,
  variableData,
  type WrittenEvent,
  writeEvent,
  writeHeader,
  writeLog,
} from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG, type HashAlgorithm } from '../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../src/tpm/event-types.ts';
import { AK, BOOT_LOG, EXTRA_DATA, POLICY, pcrsOf, sealEvidence } from '../attestation/evidence-fixture.ts';

/** Documents that cost their reader the most: at every bound, of every shape. */
export interface HostileDocument {
  name: string;
  /** Made when it is needed: each has megabytes. */
  document(): Uint8Array;
  /** Code of the first reason, or `accept`. */
  outcome: string;
  /** Like another one, and only tried by hand. */
  byHand?: true;
}

const ALL_BANKS = [ALG.SHA1, ALG.SHA256, ALG.SHA384, ALG.SHA512].map(hashOf);
const FIELDS = {
  akPublic: AK.publicBytes,
  expectedExtraData: EXTRA_DATA,
  ...sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG) }),
  policy: POLICY,
  purpose: 'boot' as const,
};
const TEXT = encodeEvidenceDocument(FIELDS);
const latin1 = (text: string) => Buffer.from(text, 'latin1');
/** The valid document with one more member in front, of the given total length. */
const filled = (open: string, unit: string, close: string) => () =>
  latin1(
    TEXT.replace(
      '{',
      () =>
        `{"comment":${open}${unit.repeat(Math.floor((MAX_EVIDENCE_BYTES - TEXT.length - 64) / unit.length))}${close},`,
    ),
  );
const withMember = (text: string) => () => latin1(TEXT.replace('{', () => `{${text},`));
const bare = (unit: string) => () =>
  latin1(unit.repeat(Math.ceil(MAX_EVIDENCE_BYTES / unit.length)).slice(0, MAX_EVIDENCE_BYTES));

/** An event many times, up to the limits that evidence has for a log: the quote agrees with the log. */
function manyEvents(
  event: WrittenEvent,
  options: { banks?: readonly HashAlgorithm[]; agrees?: boolean } = {},
) {
  return (): Uint8Array => {
    const { banks = [SHA256], agrees = true } = options;
    const one = Buffer.from(writeEvent(event, banks));
    const boot = writeLog(bootEvents(), banks);
    const room = Math.floor((EVIDENCE_LOG_LIMITS.maxBytes - boot.length) / one.length);
    const count = Math.min(room, EVIDENCE_LOG_LIMITS.maxEvents - bootEvents().length);
    const log = concatBytes(boot, Buffer.alloc(count * one.length, one));
    const evidence = sealEvidence({ log, pcrs: agrees ? pcrsOf(log) : pcrsOf(BOOT_LOG) });
    return latin1(encodeEvidenceDocument({ ...FIELDS, ...evidence }));
  };
}

const logOf = (log: Uint8Array) => () => latin1(encodeEvidenceDocument({ ...FIELDS, eventLog: log }));
const noAction = (data: Uint8Array): WrittenEvent => ({ pcr: 0, type: EVENT_TYPE.EV_NO_ACTION, data });
const ipl = (bytes: number): WrittenEvent => ({ pcr: 8, type: 0x0d, data: new Uint8Array(bytes) });
const pcrList = (count: number) =>
  Array.from({ length: count }, (_, index) => `"${index}":"${'00'.repeat(32)}"`);
const hexList = (count: number) => Array.from({ length: count }, () => `"${'ab'.repeat(32)}"`).join(',');

export const HOSTILE_DOCUMENTS: readonly HostileDocument[] = [
  { name: 'a string of 24 MiB', document: filled('"', 'A', '"'), outcome: 'evidence-malformed' },
  { name: 'nothing but escapes', document: filled('"', '\\\\', '"'), outcome: 'evidence-too-large' },
  {
    name: 'nothing but \\u escapes',
    document: filled('"', '\\u0041', '"'),
    outcome: 'evidence-too-large',
    byHand: true,
  },
  { name: 'a number of 24 million digits', document: filled('', '9', ''), outcome: 'evidence-too-large' },
  {
    name: 'a number with 24 million zeros',
    document: filled('0.', '0', '1'),
    outcome: 'evidence-too-large',
    byHand: true,
  },
  { name: 'white space', document: filled('', ' ', '1'), outcome: 'evidence-too-large', byHand: true },
  { name: 'empty objects', document: filled('[', '{},', '1]'), outcome: 'evidence-too-large' },
  { name: 'empty strings', document: filled('[', '"",', '1]'), outcome: 'evidence-too-large', byHand: true },
  { name: 'open brackets', document: filled('', '[', ''), outcome: 'evidence-too-large' },
  { name: 'open objects', document: filled('', '{"a":', ''), outcome: 'evidence-too-large', byHand: true },
  { name: 'a string without end', document: filled('"', 'A', ''), outcome: 'evidence-unreadable' },
  { name: 'nothing but quotes', document: bare('"'), outcome: 'evidence-unreadable', byHand: true },
  { name: 'nothing but open brackets', document: bare('['), outcome: 'evidence-unreadable', byHand: true },
  { name: 'nothing but 0xff', document: bare('\xff'), outcome: 'evidence-unreadable' },
  { name: 'nothing but NUL', document: bare('\0'), outcome: 'evidence-unreadable', byHand: true },
  {
    name: 'three-byte characters',
    document: bare('\xe2\x82\xac'),
    outcome: 'evidence-unreadable',
    byHand: true,
  },
  {
    name: 'the name of the format a million times',
    document: bare('"bootward-evidence-v1" '),
    outcome: 'evidence-unreadable',
  },
  {
    name: '250,000 brackets, as deep as they are read',
    document: withMember(`"floor":${'['.repeat(125_000)}${']'.repeat(125_000)}`),
    outcome: 'evidence-malformed',
  },
  {
    name: '15,000 large integers',
    document: withMember(`"floor":[${'1111111111111111,'.repeat(15_000)}1]`),
    outcome: 'evidence-malformed',
    byHand: true,
  },
  {
    name: '8,000 keys',
    document: withMember(Array.from({ length: 8_000 }, (_, index) => `"k${index}":1`).join(',')),
    outcome: 'evidence-malformed',
  },
  {
    name: 'a thousand PCRs',
    document: withMember(`"pcrs":{"sha256":{${pcrList(1000).join(',')}}}`),
    outcome: 'evidence-malformed',
    byHand: true,
  },
  {
    name: 'a thousand PCRs as the only ones',
    document: () =>
      latin1(
        JSON.stringify({ ...JSON.parse(TEXT), pcrs: { sha256: JSON.parse(`{${pcrList(1000).join(',')}}`) } }),
      ),
    outcome: 'evidence-malformed',
  },
  {
    name: '7,900 reference values',
    document: () => {
      const document = JSON.parse(TEXT);
      document.policy.expected = JSON.parse(`{"4":[${hexList(7_900)}]}`);
      return latin1(JSON.stringify(document));
    },
    outcome: 'pcr-mismatch',
  },
  {
    name: 'challenge and claims of 8 MiB each',
    document: withMember(
      `"challenge":"${Buffer.alloc(8 << 20, '.').toString('base64')}","claims":"${Buffer.alloc(8 << 20, '[').toString('base64')}"`,
    ),
    outcome: 'extra-data-mismatch',
  },
  { name: 'a log of one event of 15 MiB', document: manyEvents(ipl(15 << 20)), outcome: 'accept' },
  {
    name: 'a log of 512 KiB, the smallest events',
    document: logOf(concatBytes(BOOT_LOG, Buffer.alloc(0x80000))),
    outcome: 'event-log-bank-missing',
  },
  { name: 'a log of 131,072 events', document: manyEvents(ipl(0)), outcome: 'accept', byHand: true },
  { name: 'a log of 131,072 events of 78 bytes', document: manyEvents(ipl(78)), outcome: 'accept' },
  {
    name: 'a log of four banks',
    document: manyEvents(ipl(0), { banks: ALL_BANKS }),
    outcome: 'accept',
    byHand: true,
  },
  {
    name: 'a log that does not agree in any event',
    document: manyEvents(ipl(78), { agrees: false }),
    outcome: 'event-log-replay-mismatch',
    byHand: true,
  },
  {
    name: '131,072 second headers',
    document: manyEvents(noAction(Buffer.from('Spec ID Event03\0'))),
    outcome: 'event-log-no-action-invalid',
    byHand: true,
  },
  {
    name: '131,072 StartupLocality events',
    document: manyEvents(noAction(Buffer.from('StartupLocality\0\x03')), { agrees: false }),
    outcome: 'event-log-malformed',
  },
  {
    name: '131,072 separators',
    document: manyEvents({ pcr: 7, type: EVENT_TYPE.EV_SEPARATOR, data: new Uint8Array(4) }),
    outcome: 'event-log-separator-duplicate',
    byHand: true,
  },
  {
    name: '131,072 misplaced events',
    document: manyEvents({ pcr: 4, type: EVENT_TYPE.EV_POST_CODE, data: EMPTY }),
    outcome: 'event-log-type-unexpected',
  },
  {
    name: '120,000 variables out of order',
    document: manyEvents({
      pcr: 7,
      type: EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
      data: variableData('db', new Uint8Array(16)),
    }),
    outcome: 'event-log-type-unexpected',
  },
  {
    name: '131,072 events of PCRs that are not quoted',
    document: manyEvents({ pcr: 23, type: 0x0d, data: EMPTY }),
    outcome: 'accept',
    byHand: true,
  },
  {
    name: 'one event more than there may be',
    document: logOf(
      concatBytes(
        writeHeader(),
        Buffer.alloc(writeEvent(ipl(0)).length * (EVIDENCE_LOG_LIMITS.maxEvents + 1), writeEvent(ipl(0))),
      ),
    ),
    outcome: 'event-log-too-large',
  },
  {
    name: 'an event that says 4 GiB',
    document: logOf(concatBytes(BOOT_LOG, writeEvent(ipl(0)).subarray(0, -4), le32(0xffff_ffff))),
    outcome: 'event-log-malformed',
    byHand: true,
  },
  {
    name: 'a log of zeros',
    document: logOf(new Uint8Array(EVIDENCE_LOG_LIMITS.maxBytes)),
    outcome: 'event-log-sha1-format',
    byHand: true,
  },
  {
    name: 'a log of one byte too many',
    document: logOf(new Uint8Array(EVIDENCE_LOG_LIMITS.maxBytes + 1)),
    outcome: 'event-log-too-large',
  },
];
