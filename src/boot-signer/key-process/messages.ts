import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { parseStrictJson } from '../../core/strict-json.ts';
import { refuse } from '../errors.ts';
import type { Desk } from './desk.ts';

// What the front asks of the key process: one JSON document a line, answered under its number. The front is
// not believed: shapes are checked here again.

const closed = { additionalProperties: false };
const text = (maxLength: number) => Type.String({ maxLength });
const number = Type.Integer({ minimum: 0 });
const CALL = Type.Union([
  Type.Object(
    {
      number,
      call: Type.Literal('submit'),
      type: text(64),
      role: text(64),
      keyIds: Type.Array(text(64), { maxItems: 64 }),
      text: text(8 * 1024 * 1024),
      client: text(128),
    },
    closed,
  ),
  Type.Object(
    { number, call: Type.Literal('approve'), id: text(64), keyId: text(64), signature: text(8192) },
    closed,
  ),
  Type.Object(
    {
      number,
      call: Type.Literal('withdraw'),
      id: text(64),
      client: text(128),
      keyId: Type.Optional(text(64)),
      signature: Type.Optional(text(8192)),
    },
    closed,
  ),
  Type.Object({ number, call: Type.Literal('requests') }, closed),
  Type.Object({ number, call: Type.Literal('keys') }, closed),
]);

export type Call = Type.Static<typeof CALL>;
type Unnumbered<T> = T extends unknown ? Omit<T, 'number'> : never;
export type CallBody = Unnumbered<Call>;

/** Throws for what the front never sends: then the key process ends. */
export function parseCall(line: Uint8Array, maxBytes: number): Call {
  const value: unknown = structuredClone(parseStrictJson(line, { maxBytes }));
  if (Value.Check(CALL, value)) return value;
  return refuse('request-invalid', 'the front sent something that is no call');
}

export async function answerCall(desk: Desk, call: Call): Promise<unknown> {
  switch (call.call) {
    case 'submit':
      return desk.submit(call);
    case 'approve':
      return desk.book.approve({ id: call.id, keyId: call.keyId, signature: call.signature });
    case 'withdraw':
      return desk.book.withdraw(call);
    case 'requests':
      return desk.book.list();
    case 'keys':
      return desk.keys();
  }
}
