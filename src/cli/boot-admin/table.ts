import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';

/** A column: its heading and how its cell is read from a row. */
export type Column = readonly [heading: string, cell: (row: JsonObject) => JsonValue | undefined];

const GAP = 2;

/** Columns padded to their widest cell. Cells come from machines: control characters are made visible. */
export function formatTable(columns: readonly Column[], rows: readonly JsonValue[]): string {
  const cells = rows.filter(isJsonObject).map((row) => columns.map(([, cell]) => printable(cell(row))));
  const lines = [columns.map(([heading]) => heading), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
    .join('\n');
}

/** One thing, a line for each field. */
export function formatDetails(fields: readonly Column[], value: JsonObject): string {
  const width = Math.max(...fields.map(([heading]) => heading.length)) + GAP;
  return fields
    .map(([heading, cell]) => `${heading.padEnd(width)}${printable(cell(value))}`.trimEnd())
    .join('\n');
}

/** Text that a node chose must not drive the operator's terminal (A10). */
export function printable(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return '-';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.replace(/[^\x20-\x7e]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

export function formatTime(seconds: JsonValue | undefined): string {
  return typeof seconds === 'number'
    ? new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')
    : '-';
}

/** The values of an object or a list, as in "certified, listed, measured". */
export function wordsOf(value: JsonValue | undefined): string {
  return typeof value === 'object' && value !== null ? Object.values(value).map(String).join(', ') : '';
}

/** The codes of reasons or notes, for a cell. */
export function codesOf(findings: JsonValue | undefined): string {
  return Array.isArray(findings)
    ? findings.map((finding) => (isJsonObject(finding) ? String(finding.code) : '')).join(' ')
    : '';
}
