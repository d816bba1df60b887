import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, toHex } from '../../../src/core/bytes.ts';
import type { JsonObject } from '../../../src/core/strict-json.ts';
import { parseSignedJson } from '../../../src/signing/signed-json.ts';
import { parseReleases, parseStage0Builds } from '../../../src/signing/tuf/listings.ts';
import { parseSnapshot, parseTimestamp } from '../../../src/signing/tuf/meta-files.ts';
import { parseRoot } from '../../../src/signing/tuf/root.ts';
import { parseDelegated, parseTargets } from '../../../src/signing/tuf/targets.ts';
import { verifyRepository } from '../../../src/signing/tuf/verify-repository.ts';
import { NOW_MS, SIGNERS, TestRepository } from '../../signing/tuf/tuf-fixture.ts';
import { corpusFiles } from '../corpora.ts';
import { MAX_INPUT_BYTES } from '../examine.ts';
import { type FuzzTarget, requireSame, Violation } from '../target.ts';

type Role = 'root' | 'timestamp' | 'snapshot' | 'targets' | 'stage0' | 'channel-demo';

const PARSERS: Readonly<Record<Role, (bytes: Uint8Array) => unknown>> = {
  root: parseRoot,
  timestamp: parseTimestamp,
  snapshot: parseSnapshot,
  targets: parseTargets,
  stage0: (bytes) => parseStage0Builds(parseDelegated('stage0', bytes).targets),
  'channel-demo': (bytes) => parseReleases('demo', parseDelegated('channel-demo', bytes).targets),
};

export const METADATA_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'signed-json',
    format: 'json',
    prepare: async () => ({
      seeds: [...(await TestRepository.create()).files.values()],
      examine: (input) => {
        const value = parseSignedJson(input, MAX_INPUT_BYTES);
        requireOneReading(value);
        return value;
      },
    }),
  },
  ...(Object.keys(PARSERS) as Role[]).map(metadataTarget),
  {
    name: 'tuf-timestamp-signed',
    format: 'json',
    prepare: prepareSignedTimestamp,
  },
];

function metadataTarget(role: Role): FuzzTarget {
  return {
    name: `tuf-${role}`,
    format: 'json',
    prepare: async () => {
      const repository = await TestRepository.create();
      return { seeds: [repository.bytes(repository.fileOf(role)), ...foreign()], examine: PARSERS[role] };
    },
  };
}

function foreign(): Uint8Array[] {
  const data = 'theupdateframework/tuf-conformance/tuf_conformance/static_data';
  return corpusFiles(`${data}/tuf-on-ci-0.11/metadata`, '.json');
}

/** What the signatures are over means to its readers what the document means to us. */
function requireOneReading(value: JsonObject): void {
  const canonical = asciiBytes(canonicalize(value));
  requireSame(asciiBytes(canonicalize(parseSignedJson(canonical, MAX_INPUT_BYTES))), canonical);
}

/** The input is what the timestamp role signs, with its own key: only then do the later checks see it. */
async function prepareSignedTimestamp() {
  const repository = await TestRepository.create();
  const [signer] = SIGNERS.timestamp;
  if (signer === undefined) throw new Error('nobody signs timestamps');
  const { signed } = repository.document('timestamp.json');
  return {
    seeds: [asciiBytes(JSON.stringify(signed))],
    examine: async (input: Uint8Array) => {
      const canonical = asciiBytes(canonicalize(parseSignedJson(input, MAX_INPUT_BYTES)));
      const signature = { keyid: signer.keyId, sig: toHex(await signer.sign(canonical)) };
      const text = `{"signatures":[${JSON.stringify(signature)}],"signed":${Buffer.from(canonical)}}`;
      const files = new Map(repository.files).set('timestamp.json', asciiBytes(text));
      const verified = verifyRepository({ trustedRoot: repository.trustedRoot, files, nowMs: NOW_MS });
      if (verified.channels.size !== 2) throw new Violation('a channel has got lost');
      return [...verified.roles];
    },
  };
}
