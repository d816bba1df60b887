import { diffEventLogs } from '../../../src/attestation/event-log/event-log-diff.ts';
import { viewEventLog } from '../../../src/attestation/event-log/event-log-view.ts';
import { asciiBytes, concatBytes, EMPTY, toHex } from '../../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  bootEvents,
  le32,
  variableData,
  type WrittenEvent,
  writeLog,
} from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { GUIDS, signatureList } from '../../../src/fleet-sim/firmware/secure-boot-events.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { formatDevicePath } from '../../../src/tpm/device-path.ts';
import { parseSignatureLists } from '../../../src/tpm/efi-signature-list.ts';
import { EVENT_LOG_LIMITS, parseEventLog } from '../../../src/tpm/event-log.ts';
import { replayEventLog } from '../../../src/tpm/event-log-replay.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { StructureReader } from '../../../src/tpm/reader.ts';
import { parseSha1EventLog } from '../../../src/tpm/sha1-event-log.ts';
import { uefiVariableContent, uefiVariableName } from '../../../src/tpm/uefi-variable-data.ts';
import { BOOT_LOG, POLICY_PCRS, pcrsOf, verdictOnLog } from '../../attestation/evidence-fixture.ts';
import { corpusFiles } from '../corpora.ts';
import { type FuzzTarget, requireNoCrash, Violation } from '../target.ts';

const LOCALITY: WrittenEvent = {
  pcr: 0,
  type: EVENT_TYPE.EV_NO_ACTION,
  data: asciiBytes('StartupLocality\0\u0003'),
};

export const EVENT_LOG_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'event-log',
    format: 'bytes',
    prepare: () => ({
      seeds: [...writtenLogs(), ...corpusLogs()],
      examine: (input) => {
        const log = parseEventLog(input);
        return { log, banks: replayEventLog(log) };
      },
    }),
  },
  {
    name: 'sha1-event-log',
    format: 'bytes',
    prepare: () => ({
      seeds: [sha1Log()],
      examine: (input) => {
        const log = parseSha1EventLog(input, EVENT_LOG_LIMITS);
        return { log, banks: replayEventLog(log) };
      },
    }),
  },
  {
    // The quote says whatever the log does, so that every rule for logs gets to see it.
    name: 'event-log-appraisal',
    format: 'bytes',
    prepare: () => ({ seeds: writtenLogs(), examine: (input) => requireNoCrash(verdictOnLog(input)) }),
  },
  {
    // Under the quote of the honest log: what is accepted extends what the honest log extends.
    name: 'event-log-under-quote',
    format: 'bytes',
    prepare: () => ({
      seeds: writtenLogs(),
      examine: (input) => {
        const verdict = requireNoCrash(verdictOnLog(input, pcrsOf(BOOT_LOG)));
        if (verdict.verdict === 'accept' && extendsOf(input) !== HONEST_EXTENDS)
          throw new Violation('a log is accepted that extends something else');
        return verdict;
      },
    }),
  },
  {
    // What operators see of a log: printable and bounded, whoever wrote it.
    name: 'event-log-view',
    format: 'bytes',
    prepare: () => ({ seeds: [...writtenLogs(), ...corpusLogs()], examine: showLog }),
  },
  {
    name: 'device-path',
    format: 'bytes',
    prepare: () => ({
      seeds: [Buffer.from('0101060000040404060041007fff0400', 'hex')],
      examine: (input) => formatDevicePath(new StructureReader(input, 'device path', 'little')),
    }),
  },
  {
    name: 'uefi-variable-data',
    format: 'bytes',
    prepare: () => ({
      seeds: [variableData('SecureBoot', Uint8Array.of(1)), variableData('', new Uint8Array(0))],
      examine: (input) => ({ name: uefiVariableName(input), content: uefiVariableContent(input) }),
    }),
  },
  {
    // What is read of a signature database is in it, each byte once.
    name: 'efi-signature-list',
    format: 'bytes',
    prepare: () => ({
      seeds: [
        signatureList(GUIDS.X509_LIST, asciiBytes('a certificate')),
        concatBytes(
          signatureList(GUIDS.SHA256_LIST, new Uint8Array(32)),
          signatureList(GUIDS.X509_LIST, asciiBytes('another')),
        ),
      ],
      examine: (input) => {
        const signatures = parseSignatureLists(input);
        const read = signatures.reduce((bytes, { data }) => bytes + data.length, 0);
        if (read > input.length) throw new Violation('more is read than there is');
        if (signatures.some(({ kind, data }) => kind === 'sha256' && data.length !== 32))
          throw new Violation('a SHA-256 of another length');
        return signatures;
      },
    }),
  },
];

/** Every extend of a quoted PCR in bank SHA-256, PCR by PCR. */
function extendsOf(bytes: Uint8Array): string {
  const { hashes, events } = parseEventLog(bytes);
  const bank = hashes.indexOf(SHA256);
  const extended = events.filter(({ type }) => type !== EVENT_TYPE.EV_NO_ACTION);
  const ofPcr = (pcr: number) => extended.filter((event) => event.pcr === pcr);
  return POLICY_PCRS.map((pcr) =>
    ofPcr(pcr)
      .map(({ digests }) => toHex(digests[bank] ?? EMPTY))
      .join(),
  ).join(';');
}

const HONEST_EXTENDS = extendsOf(BOOT_LOG);

function showLog(input: Uint8Array): unknown {
  const log = parseEventLog(input);
  const [hash = SHA256] = log.hashes;
  const view = viewEventLog({ log, hash, quotedPcrs: pcrsOf(BOOT_LOG) });
  const lines = diffEventLogs({ before: BOOT_LOG, after: input, hash: SHA256, pcrs: [0, 4, 7, 8] });
  const texts = [...view.events.map(({ description }) => description), ...lines];
  const bad = texts.find((text) => text.length > 4000 || /[^\x20-\x7e]/.test(text));
  if (bad !== undefined) throw new Error(`not for a terminal: ${JSON.stringify(bad)}`);
  return { view, lines };
}

function writtenLogs(): Uint8Array[] {
  const banks = [hashOf(ALG.SHA1), SHA256, hashOf(ALG.SHA384)];
  return [BOOT_LOG, writeLog([LOCALITY, ...bootEvents()], banks)];
}

function corpusLogs(): Uint8Array[] {
  return [
    ...corpusFiles('google/go-tpm-tools/internal/test/eventlogs', '.bin'),
    ...corpusFiles('tpm2-software/tpm2-tools/test/integration/fixtures', '.bin'),
  ];
}

function sha1Log(): Uint8Array {
  const events = bootEvents().map(({ pcr, type, data }) =>
    Buffer.concat([le32(pcr), le32(type), new Uint8Array(20).fill(pcr), le32(data.length), data]),
  );
  return Buffer.concat(events);
}
