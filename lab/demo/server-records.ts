import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseStrictJson,
} from '../../src/core/strict-json.ts';
import { LabError } from '../lab-error.ts';
import type { World } from '../world.ts';

const MAX_BYTES = 64 * 1024 * 1024;

/** One verdict as the server recorded it. */
export interface RecordedVerdict {
  id: number;
  nodeId: string;
  purpose: string;
  verdict: string;
  /** `code: message`, joined. */
  reasons: string;
  facts: string;
}

/** The server's verdicts, newest first. */
export async function readVerdicts(world: World): Promise<RecordedVerdict[]> {
  return (await readList(world, 'verdicts', 'list')).map((verdict) => ({
    id: Number(verdict.id),
    nodeId: String(verdict.nodeId),
    purpose: String(verdict.purpose),
    verdict: String(verdict.verdict),
    reasons: findingsOf(verdict.reasons),
    facts: isJsonObject(verdict.facts ?? null)
      ? Object.values(verdict.facts as JsonObject).join(', ')
      : 'none',
  }));
}

/** The newest verdict of that purpose since verdict `afterId`. */
export async function readVerdictSince(
  world: World,
  { afterId, purpose }: { afterId: number; purpose: string },
): Promise<RecordedVerdict | undefined> {
  return (await readVerdicts(world)).find((verdict) => verdict.id > afterId && verdict.purpose === purpose);
}

export async function lastVerdictId(world: World): Promise<number> {
  return (await readVerdicts(world))[0]?.id ?? 0;
}

export async function readNodes(world: World): Promise<JsonObject[]> {
  return readList(world, 'nodes', 'list');
}

async function readList(world: World, ...command: string[]): Promise<JsonObject[]> {
  const value = parseStrictJson(await world.admin('-o', 'json', ...command), { maxBytes: MAX_BYTES });
  if (!Array.isArray(value)) throw new LabError('command-failed', `boot-admin ${command.join(' ')}: no list`);
  return value.filter(isJsonObject);
}

function findingsOf(value: JsonValue | undefined): string {
  if (!Array.isArray(value)) return '';
  return value
    .filter(isJsonObject)
    .map((finding) => `${String(finding.code)}: ${String(finding.message)}`)
    .join('; ');
}
