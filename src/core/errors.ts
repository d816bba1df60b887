/** Messages quote what they refuse, are answered and logged: a document must not decide how long they are. */
const MAX_MESSAGE_LENGTH = 1000;

/**
 * The one internal error type. Each area extends it with its own closed set of codes; HTTP status and
 * wording for the outside live in `boot-server/problems.ts` only.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(shorten(message), options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The text of anything thrown, for logs and messages. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function shorten(message: string): string {
  return message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, MAX_MESSAGE_LENGTH)}…` : message;
}
