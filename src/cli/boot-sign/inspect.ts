import { readFile } from 'node:fs/promises';
import { canonicalize } from '@tufjs/canonical-json';
import type { Command } from 'commander';
import { sha256, toHex } from '../../core/bytes.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import { referenceOf } from '../../signing/artifact.ts';
import { parsePe } from '../../signing/efi/pe.ts';
import { measureUki } from '../../signing/efi/uki-measurement.ts';
import { parseEncryptedKey } from '../../signing/keys/encrypted-key.ts';
import { MANIFEST_FORMAT, parseReleaseManifest } from '../../signing/manifest.ts';
import { keyIdOf } from '../../signing/public-key.ts';
import { describeProposal } from '../../signing/tuf/describe-proposal.ts';
import { parseProposal } from '../../signing/tuf/proposal.ts';
import { claimedBase } from '../../signing/tuf/proposal-base.ts';
import { describeSignedTogether, signedTogetherSha256 } from '../../signing/tuf/signed-together.ts';
import {
  type CommandContext,
  type CommandResult,
  createFileCommand,
  type OutputOptions,
  printResult,
} from './command.ts';
import { loadPublicKeys } from './public-keys.ts';
import { UsageError } from './usage-error.ts';

const MAX_JSON_BYTES = 32 * 1024 * 1024;

export function createInspectCommand(context: CommandContext): Command {
  return createFileCommand(
    'inspect',
    'say what a file is and what it says; nothing of it is verified',
    'metadata, proposal, manifest, key file, public key or EFI image',
  ).action(async (file: string, options: OutputOptions) =>
    printResult(context, options, await inspect(file)),
  );
}

async function inspect(file: string): Promise<CommandResult> {
  const bytes = await readFile(file);
  if (bytes.subarray(0, 2).toString('latin1') === 'MZ') return inspectImage(bytes);
  if (bytes.subarray(0, 5).toString('latin1') === '-----') return inspectPublicKey(file);
  const document = parseDocument(bytes, file);
  if (document.format === 'bootward-proposal-v1') return inspectProposal(bytes);
  if (document.format === 'bootward-key-v1') return inspectKeyFile(bytes);
  if (document.format === MANIFEST_FORMAT) return inspectManifest(bytes);
  if (isJsonObject(document.signed)) return inspectMetadata(document.signed, document.signatures);
  return inspectPublicKey(file);
}

function inspectImage(bytes: Uint8Array): CommandResult {
  const { sections, certificateTable } = parsePe(bytes);
  const textOf = (name: string) => {
    const section = sections.find((candidate) => candidate.name === name);
    return section === undefined ? undefined : Buffer.from(section.data).toString('latin1').trimEnd();
  };
  const cmdline = textOf('.cmdline');
  const measured = cmdline === undefined ? undefined : measureUki(bytes);
  const json: JsonObject = {
    kind: measured === undefined ? 'EFI image' : 'unified kernel image',
    ...referenceOf(bytes),
    signed: certificateTable !== undefined,
    sections: sections.map(({ name, data }) => ({ name, length: data.length })),
  };
  if (cmdline !== undefined) json.cmdline = cmdline;
  if (measured !== undefined) {
    json.authenticodeSha256 = toHex(measured.authenticodeSha256);
    json.pcr11 = toHex(measured.pcr11);
  }
  return describe(json);
}

async function inspectPublicKey(file: string): Promise<CommandResult> {
  const keys = await loadPublicKeys(file);
  const described = keys.map((key) => ({ keyId: keyIdOf(key), scheme: key.scheme }));
  return describe({ kind: 'public key', keys: described });
}

function inspectKeyFile(bytes: Uint8Array): CommandResult {
  const { keyId, key, logN } = parseEncryptedKey(bytes);
  return describe({ kind: 'private key file', keyId, scheme: key.scheme, keyCost: logN });
}

function inspectProposal(bytes: Uint8Array): CommandResult {
  const proposal = parseProposal(bytes);
  const changes = [...describeProposal(proposal, claimedBase(proposal))];
  const proposalSha256 = signedTogetherSha256(proposal.drafts);
  const signedSha256 = Object.fromEntries(
    proposal.drafts.map(({ role, canonical }) => [role, toHex(sha256(canonical))]),
  );
  const signatures = Object.fromEntries(
    proposal.drafts.map((draft) => [draft.role, [...draft.signatures.keys()]]),
  );
  return {
    lines: [
      `kind: proposal ${proposal.name}`,
      'compared with what it says itself was in force:',
      ...changes,
      describeSignedTogether(proposalSha256),
      ...Object.entries(signedSha256).map(([role, digest]) => `signedSha256 of ${role}: ${digest}`),
    ],
    json: { kind: 'proposal', name: proposal.name, changes, proposalSha256, signedSha256, signatures },
  };
}

function inspectManifest(bytes: Uint8Array): CommandResult {
  const { attachments, kernel, initramfs, ...rest } = parseReleaseManifest(bytes);
  return describe({
    kind: 'release manifest',
    digest: referenceOf(bytes).sha256,
    ...rest,
    kernel: { ...kernel },
    initramfs: { ...initramfs },
    attachments: Object.fromEntries([...attachments].map(([name, reference]) => [name, { ...reference }])),
  });
}

function inspectMetadata(signed: JsonObject, signatures: JsonValue | undefined): CommandResult {
  const { _type: type, version, expires } = signed;
  const signers = Array.isArray(signatures) ? signatures : [];
  return describe({
    kind: `TUF metadata: ${String(type)}`,
    signedSha256: toHex(sha256(Buffer.from(canonicalize(signed)))),
    version: version ?? null,
    expires: expires ?? null,
    signatures: signers.map((signature) => (isJsonObject(signature) ? (signature.keyid ?? null) : null)),
    ...(isJsonObject(signed.targets) && { targets: Object.keys(signed.targets) }),
    ...(isJsonObject(signed.roles) && { roles: Object.keys(signed.roles) }),
    ...(isJsonObject(signed.meta) && { meta: Object.keys(signed.meta) }),
  });
}

function describe(json: JsonObject): CommandResult {
  const lines = Object.entries(json).map(([name, value]) => `${name}: ${wordsOf(value)}`);
  return { lines, json };
}

function wordsOf(value: JsonValue): string {
  if (Array.isArray(value)) return value.map(wordsOf).join(', ');
  if (isJsonObject(value)) return Object.values(value).map(wordsOf).join(' ');
  // What a file says drives no terminal.
  return String(value).replace(/[^\x20-\x7e]/g, '?');
}

function parseDocument(bytes: Uint8Array, file: string): JsonObject {
  try {
    const value = parseStrictJson(bytes, { maxBytes: MAX_JSON_BYTES, maxDepth: 16 });
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new UsageError(`${file} is none of our files: ${String(cause).slice(0, 200)}`);
  }
  throw new UsageError(`${file} is none of our files`);
}
