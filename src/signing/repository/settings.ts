import { readFile } from 'node:fs/promises';
import { asciiBytes } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, parseStrictJson } from '../../core/strict-json.ts';
import type { RepositoryLayout } from './layout.ts';
import { RepositoryError } from './repository-error.ts';

/** When new metadata expires: roles signed at a ceremony live long, snapshot and timestamp briefly. */
export interface Expiry {
  readonly offlineMs: number;
  readonly onlineMs: number;
}

/** How long what is signed from now on is good for. */
export interface RepositorySettings {
  /** Root, targets, channels and stage0. */
  readonly offlineDays: number;
  /** Snapshot and timestamp: how often `boot-sign refresh` must run at least. */
  readonly onlineDays: number;
}

export const DEFAULT_SETTINGS: RepositorySettings = { offlineDays: 365, onlineDays: 30 };
export const MAX_DAYS = 3650;

const FORMAT = 'bootward-repository-v1';
const DAY_MS = 86_400_000;

export async function saveSettings(
  layout: RepositoryLayout,
  settings: RepositorySettings,
  when: 'refuse' | 'replace' = 'refuse',
): Promise<void> {
  const { offlineDays, onlineDays } = settings;
  const text = `${JSON.stringify({ format: FORMAT, offlineDays, onlineDays }, null, 2)}\n`;
  await writeFileDurably({
    path: layout.settings,
    contents: asciiBytes(text),
    mode: 0o644,
    replace: when === 'replace',
  });
}

/** @throws {RepositoryError} `repository-missing`, `repository-settings-invalid` */
export async function loadSettings(layout: RepositoryLayout): Promise<RepositorySettings> {
  const bytes = await readFile(layout.settings).catch((cause: unknown) => {
    const message = `${layout.folder} is no repository folder: "boot-sign init ${layout.folder}" makes one`;
    throw new RepositoryError('repository-missing', message, { cause });
  });
  try {
    return parseSettings(bytes);
  } catch (cause) {
    const message = `${layout.settings}: ${messageOf(cause)}`;
    throw new RepositoryError('repository-settings-invalid', message, { cause });
  }
}

/** In whole seconds, as metadata writes it. */
export function expiryAt(nowMs: number, { offlineDays, onlineDays }: RepositorySettings): Expiry {
  const now = nowMs - (nowMs % 1000);
  return { offlineMs: now + offlineDays * DAY_MS, onlineMs: now + onlineDays * DAY_MS };
}

export function isDays(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_DAYS;
}

function parseSettings(bytes: Uint8Array): RepositorySettings {
  const document = parseStrictJson(bytes, { maxBytes: 4096 });
  if (!isJsonObject(document) || document.format !== FORMAT) throw new Error(`"format" is not ${FORMAT}`);
  const { offlineDays, onlineDays } = document;
  if (!isDays(offlineDays) || !isDays(onlineDays))
    throw new Error(`"offlineDays" and "onlineDays" are whole numbers from 1 to ${MAX_DAYS}`);
  return { offlineDays, onlineDays };
}
