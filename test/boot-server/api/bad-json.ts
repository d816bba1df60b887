type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface BadBody {
  name: string;
  body: string | Buffer;
}

/** What is wrong with a body whatever it says: not JSON, not one document, not an object. */
export function brokenDocuments(valid: object): BadBody[] {
  const text = JSON.stringify(valid);
  const [first = ''] = Object.keys(valid);
  const repeated = `{${JSON.stringify(first)}:0,${text.slice(1)}`;
  return [
    { name: 'empty', body: '' },
    { name: 'truncated', body: text.slice(0, -1) },
    { name: 'cut in half', body: text.slice(0, text.length / 2) },
    { name: 'two documents', body: text + text },
    { name: 'a duplicate key', body: repeated },
    { name: 'a prototype key', body: `{"__proto__":{},${text.slice(1)}` },
    { name: 'a constructor key', body: `{"constructor":{},${text.slice(1)}` },
    { name: 'an unknown field', body: `{"unknown":1,${text.slice(1)}` },
    { name: 'a byte-order mark', body: `\ufeff${text}` },
    {
      name: 'invalid UTF-8',
      body: Buffer.concat([Buffer.from(text.slice(0, -2)), Buffer.from([0xff, 0x22, 0x7d])]),
    },
    { name: 'nested deeply', body: `${'['.repeat(400)}${']'.repeat(400)}` },
    { name: 'null', body: 'null' },
    { name: 'a list', body: `[${text}]` },
    { name: 'a string', body: JSON.stringify(text) },
    { name: 'a number too large', body: '9007199254740993' },
  ];
}

/** Every field once of every type that it is not. */
export function wrongTypes(valid: object): BadBody[] {
  return pathsOf(valid as Json).flatMap((path) =>
    ([null, true, 7.5, 'x'.repeat(3), [], {}] as Json[])
      .filter((value) => kindOf(value) !== kindOf(at(valid as Json, path)))
      .map((value) => ({
        name: `${path.join('.')} is ${JSON.stringify(value)}`,
        body: JSON.stringify(replaced(valid as Json, path, value)),
      })),
  );
}

/** Base64 that a loose reader would take for the same bytes, and what is none. */
export function looseBase64(valid: object, field: readonly string[]): BadBody[] {
  const value = String(at(valid as Json, field));
  const middle = 4 * Math.floor(value.length / 8);
  const spellings = [
    `${value}=`,
    `${value}====`,
    `${value}\n`,
    ` ${value}`,
    `${value.slice(0, middle)}\n${value.slice(middle)}`,
    `${value.slice(0, middle)}AA==${value.slice(middle)}`,
    `${value.slice(0, -4)}AB==`,
    value.slice(0, -1),
    '-_-_',
    '!!!!',
  ];
  return spellings.map((text) => ({
    name: `${field.join('.')} spelled ${JSON.stringify(text.slice(-12))}`,
    body: JSON.stringify(replaced(valid as Json, field, text)),
  }));
}

function pathsOf(value: Json, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...pathsOf(inner, [...path, key])]);
}

function at(value: Json, path: readonly string[]): Json {
  return path.reduce<Json>((inner, key) => (inner as Record<string, Json>)[key] ?? null, value);
}

function replaced(value: Json, path: readonly string[], by: Json): Json {
  const copy = structuredClone(value);
  const parent = at(copy, path.slice(0, -1)) as Record<string, Json>;
  parent[path.at(-1) ?? ''] = by;
  return copy;
}

function kindOf(value: Json): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'list' : typeof value;
}
