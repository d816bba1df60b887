import { REASONS } from '../../attestation/reasons.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { printable } from './table.ts';

/** A paragraph for each reason and note of a verdict: what was found, what it means, what to do. */
export function formatFindings({ reasons, notes }: JsonObject): string[] {
  const told = [...listOf(reasons), ...listOf(notes)];
  return told.length === 0 ? ['nothing was found against it'] : told.map(formatFinding);
}

/** A newer server may know a code that this program does not. */
function formatFinding({ code, message }: JsonObject): string {
  const known = Object.entries(REASONS).find(([name]) => name === code)?.[1];
  return [
    `${known?.kind ?? 'reason'} ${printable(code)}`,
    `  found    ${printable(message)}`,
    ...(known === undefined ? [] : [`  means    ${known.meaning}`, `  do       ${known.remedy}`]),
  ].join('\n');
}

function listOf(findings: JsonValue | undefined): JsonObject[] {
  return Array.isArray(findings) ? findings.filter(isJsonObject) : [];
}
