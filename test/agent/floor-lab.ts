import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FloorSettings, floorSettingsOf } from '../../src/cli/boot-sign/floor-settings.ts';
import { concatBytes, fromHex, sha256, toHex, utf8Bytes } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { tufKeyOf } from '../../src/signing/public-key.ts';
import type { HostTpm } from './host-tpm.ts';
import type { Outcome, Scenario, ScriptedLab } from './scripted-lab.ts';
import { CHANNEL } from './signed-world.ts';

export const FLOOR_INDEX = '0x0180b007';
/** TPM2_CC_PolicyPCR; SHA-256 bank, PCRs 4 and 11 to 14 (Part 3, 23.7). */
const POLICY_PCR_HEX = '0000017f00000001000b03107800';

export interface FloorKey {
  key: KeyObject;
  publicPem: string;
  /** As boot-sign bakes it in. */
  baked: FloorSettings;
}

/** What a record says, by the names of the contract. */
export interface FloorRecord {
  root: number;
  targets: number;
  snapshot: number;
  channel: number;
  time: number;
}

export function createFloorKey(): FloorKey {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  return { key, publicPem, baked: floorSettingsOf(tufKeyOf(key)) };
}

/** As boot-sign approves a build: for its PCRs 4 and 11, and PCRs 12, 13 and 14 of zero. */
export function approve(
  { key }: FloorKey,
  { pcr4 = '0'.repeat(64), pcr11 = '0'.repeat(64) }: { pcr4?: string; pcr11?: string } = {},
): string {
  const values = sha256(fromHex(pcr4 + pcr11 + '0'.repeat(3 * 64)));
  const policy = sha256(concatBytes(new Uint8Array(32), fromHex(POLICY_PCR_HEX), values));
  return toHex(sign('sha256', concatBytes(policy, utf8Bytes('bootward-nv-v1')), key));
}

/** What the TPM holds; undefined when nothing was ever written there. */
export function recordIn(tpm: HostTpm): FloorRecord | undefined {
  try {
    return parseRecord(tpm.run('nvread', '-C', FLOOR_INDEX, FLOOR_INDEX));
  } catch {
    return undefined;
  }
}

function parseRecord(latin1: string): FloorRecord {
  const bytes = Buffer.from(latin1, 'latin1');
  const at = (offset: number) => Number(bytes.readBigUInt64BE(offset));
  return { root: at(20), targets: at(28), snapshot: at(36), channel: at(44), time: at(52) };
}

export function encodeRecord({ root, targets, snapshot, channel, time }: FloorRecord): Uint8Array {
  const bytes = Buffer.alloc(64);
  bytes.write('bwf1');
  Buffer.from(sha256(utf8Bytes(CHANNEL))).copy(bytes, 4, 0, 16);
  for (const [index, value] of [root, targets, snapshot, channel, time].entries())
    bytes.writeBigUInt64BE(BigInt(value), 20 + 8 * index);
  return bytes;
}

/** Any 64 bytes, by the way that only an approved stage-0 has: after a reset, with PCR 14 at zero. */
export function writeAsStage0(on: { tpm: HostTpm; key: FloorKey; file: string; folder: string }): void {
  const { tpm, key, folder } = on;
  const path = (name: string) => join(folder, `stage0-${name}`);
  tpm.reset();
  writeFileSync(path('key.pem'), key.publicPem);
  writeFileSync(path('reference'), 'bootward-nv-v1');
  writeFileSync(path('signature'), fromHex(approve(key)));
  const session = path('session');
  tpm.run('startauthsession', '--policy-session', '-S', session);
  tpm.run('policypcr', '-S', session, '-l', 'sha256:4,11,12,13,14', '-L', path('policy'));
  const load = ['-C', 'o', '-G', 'ecc', '-u', path('key.pem')];
  tpm.run('loadexternal', ...load, '-c', path('key'), '-n', path('name'));
  tpm.run('flushcontext', '-t');
  const policy = readFileSync(path('policy'));
  writeFileSync(path('approved'), concatBytes(policy, utf8Bytes('bootward-nv-v1')));
  const signed = ['-m', path('approved'), '-s', path('signature'), '-f', 'ecdsa'];
  tpm.run('verifysignature', '-c', path('key'), '-g', 'sha256', ...signed, '-t', path('ticket'));
  tpm.run('flushcontext', '-t');
  const authorized = ['-i', path('policy'), '-q', path('reference'), '-n', path('name')];
  tpm.run('policyauthorize', '-S', session, ...authorized, '-t', path('ticket'));
  tpm.run('nvwrite', '-C', FLOOR_INDEX, '-P', `session:${session}`, '-i', on.file, FLOOR_INDEX);
  tpm.run('flushcontext', session);
}

export function attributesIn(tpm: HostTpm): string {
  return /friendly: (policy\S*|\S*write\S*)/.exec(tpm.run('nvreadpublic', FLOOR_INDEX))?.[1] ?? '';
}

export function forgetFloor(tpm: HostTpm): void {
  try {
    tpm.run('nvundefine', '-C', 'o', FLOOR_INDEX);
  } catch {
    // there was none
  }
}

/** `floor` of the last evidence that a server got. */
export function floorOf({ server }: Outcome): JsonObject | undefined {
  return server.evidence.at(-1)?.floor as JsonObject | undefined;
}

export function contentsOf(outcome: Outcome): FloorRecord | undefined {
  const contents = floorOf(outcome)?.contents;
  if (contents === undefined) return undefined;
  return parseRecord(Buffer.from(String(contents), 'base64').toString('latin1'));
}

/** Boots of a stage-0 that has the floor key, from a server that has its approval. */
export function bootsWith(lab: ScriptedLab, key: FloorKey): (scenario?: Scenario) => Promise<Outcome> {
  return (scenario = {}) =>
    lab.run({
      ...scenario,
      settings: { floor: key.baked, ...scenario.settings },
      lies: { approval: approve(key), ...scenario.lies },
    });
}
