import type { JsonValue } from '../core/strict-json.ts';

/** For programs, and in ASCII, so that what a machine says of itself drives no terminal. */
export async function formatDocument(value: JsonValue, format: 'json' | 'yaml'): Promise<string> {
  return format === 'yaml' ? formatYaml(value) : toAsciiJson(JSON.stringify(value, null, 2));
}

/** The same JSON; other code points, C1 controls among them, as escapes. */
export function toAsciiJson(json: string): string {
  return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Loaded when it is asked for. Escapes exist in double quotes only (YAML 1.2.2, section 5.7). */
async function formatYaml(value: JsonValue): Promise<string> {
  const { stringify } = await import('yaml');
  const plain = stringify(value, { lineWidth: 0 });
  if (/^[\x20-\x7e\n]*$/.test(plain)) return plain.trimEnd();
  const quoted = stringify(value, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE' });
  return quoted.trimEnd().replace(/[^\x20-\x7e\n]/gu, escapeForYaml);
}

function escapeForYaml(character: string): string {
  return `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`;
}
