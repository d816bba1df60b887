import type { JsonObject } from '../../core/strict-json.ts';
import type { RoleConfig } from '../config.ts';

/** What was signed last for a role, and what the next must hold against. */
export interface SignedMemory {
  readonly version: number;
  readonly sha256: string;
  /** What the type itself wrote: see `remember` in {@link Judged}. */
  readonly remembered: JsonObject;
  /** The same of all that was ever signed for the role: what is no longer said stays, numbers only grow. */
  readonly ever: JsonObject;
}

/** All that a judgement may look at. It decides; nothing of it asks or changes anything. */
export interface JudgeInput {
  readonly policy: RoleConfig;
  /** What is to be signed, as it was sent. */
  readonly untrustedText: string;
  readonly last: SignedMemory | undefined;
  /** What was signed last for another role. */
  lastOf(role: string): SignedMemory | undefined;
  readonly nowMs: number;
  /** Where files lie; for `verifyFiles` and `message` only. */
  readonly folders: Folders;
}

export interface Folders {
  /** Without it nothing that metadata list is looked at. */
  readonly artifacts?: string;
  /** Uploaded for requests. */
  readonly images: string;
}

export interface Judged {
  readonly version: number;
  /** Kept with the record of the signature, given back as `remembered`. */
  readonly remember: JsonObject;
  /** What must be true of files before this is signed; slow, so after everything else. */
  readonly verifyFiles?: (() => Promise<void>) | undefined;
  /** Exactly these bytes are signed. */
  message(): Promise<Uint8Array>;
}

/** One kind of thing that can be signed. A new kind is a file like metadata.ts and a row in table.ts. */
export interface RequestType {
  readonly name: string;
  /** The text names the request by its hash: one text, one meaning. @throws {RefusedError | TufError} */
  judge(input: JudgeInput): Judged;
}
