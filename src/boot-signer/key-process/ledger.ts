import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import type { ApprovalSubject } from '../approvals.ts';
import type { AuditRecord } from '../audit/audit-log.ts';
import { SignerStateError } from '../errors.ts';
import type { TrustedRoot } from '../request-types/adoption.ts';
import type { SignedMemory } from '../request-types/request-type.ts';
import { type MigratedEvent, requireReadable } from './state-format.ts';

/** A signature by an approver's key; whether it counts is judged when it is needed, by the configuration then. */
export interface Approval {
  readonly keyId: string;
  readonly signature: string;
}

export interface SigningRequest {
  readonly subject: ApprovalSubject;
  readonly client: string;
  readonly openedMs: number;
  readonly approvals: readonly Approval[];
  readonly state: 'open' | 'signed' | 'withdrawn';
}

export interface SignedRole extends SignedMemory {
  /** Hex by key id. */
  readonly signatures: ReadonlyMap<string, string>;
}

/** What can happen, as the audit log writes it; `type` names it. */
export type LedgerEvent =
  | { type: 'initialised'; format?: number; roles: Record<string, SignedMemoryJson> }
  | MigratedEvent
  | {
      type: 'adopted';
      roles: JsonObject;
      sha256: string;
      client: string;
      request: string;
      people: string[];
    }
  | ({ type: 'request-opened'; client: string } & ApprovalSubjectJson)
  | { type: 'approved'; id: string; keyId: string; signature: string; person: string }
  | { type: 'withdrawn'; id: string; by: string }
  | {
      type: 'signed';
      role: string;
      version: number;
      sha256: string;
      signatures: Record<string, string>;
      remembered: JsonObject;
      client: string;
      request?: string;
      people?: string[];
    };
type SignedMemoryJson = { version: number; sha256: string; remembered: JsonObject; ever?: JsonObject };
type ApprovalSubjectJson = {
  id: string;
  request: string;
  role: string;
  version: number;
  sha256: string;
  expiresMs: number;
};

/** Roles and requests as the audit log leaves them: nothing is remembered that is not written there. */
export class Ledger {
  private readonly roles = new Map<string, SignedRole>();
  private readonly requests = new Map<string, SigningRequest>();
  private formatNumber = 1;
  private root: TrustedRoot | undefined;

  /** @throws {SignerStateError} `audit-log-damaged` when a record is not what its type says, `state-newer` */
  constructor(records: readonly AuditRecord[]) {
    for (const { event, seq, time } of records)
      try {
        // Only this service writes the log, and its chain of hashes was verified.
        this.apply(event as LedgerEvent, Date.parse(time));
      } catch (cause) {
        if (cause instanceof SignerStateError) throw cause;
        throw new SignerStateError(
          'audit-log-damaged',
          `record ${seq} of the audit log says nothing that makes sense`,
          { cause },
        );
      }
  }

  apply(event: LedgerEvent, nowMs: number): void {
    switch (event.type) {
      case 'initialised':
        this.formatNumber = requireReadable(event.format ?? 1);
        for (const [role, memory] of Object.entries(event.roles)) this.adopt(role, memory);
        return;
      case 'adopted':
        for (const [role, memory] of Object.entries(event.roles))
          this.adopt(role, memory as SignedMemoryJson);
        this.change(event.request, () => ({ state: 'signed' }));
        return;
      case 'migrated':
        this.formatNumber = requireReadable(event.to);
        return;
      case 'request-opened':
        this.open(event, nowMs);
        return;
      case 'approved':
        this.change(event.id, ({ approvals }) => ({
          approvals: [...approvals, { keyId: event.keyId, signature: event.signature }],
        }));
        return;
      case 'withdrawn':
        this.change(event.id, () => ({ state: 'withdrawn' }));
        return;
      case 'signed':
        this.sign(event);
    }
  }

  /** The last one that was taken over verified; without, the first one that was signed here. */
  get trustedRoot(): TrustedRoot | undefined {
    return this.root;
  }

  /** Of the records so far. */
  get format(): number {
    return this.formatNumber;
  }

  last(role: string): SignedRole | undefined {
    return this.roles.get(role);
  }

  lastRoles(): ReadonlyMap<string, SignedRole> {
    return this.roles;
  }

  request(id: string): SigningRequest | undefined {
    return this.requests.get(id);
  }

  allRequests(): readonly SigningRequest[] {
    return [...this.requests.values()];
  }

  /** Forgets, in memory only, what ended long ago. */
  forgetBefore(ms: number): void {
    for (const [id, { subject }] of this.requests) if (subject.expiresMs < ms) this.requests.delete(id);
  }

  /**
   * What is in force is the base, and no number goes down. But for root's: its versions have no gaps, so that one
   * that was signed and never came into force is signed again with another content.
   */
  private adopt(role: string, json: SignedMemoryJson): void {
    const before = this.roles.get(role);
    const memory = memoryOf(json, before);
    if (role === 'root') this.root = { version: memory.version, sha256: memory.sha256 };
    const isBehind = role !== 'root' && before !== undefined && before.version > memory.version;
    if (isBehind) this.roles.set(role, { ...before, remembered: memory.remembered, ever: memory.ever });
    else this.roles.set(role, { ...memory, signatures: new Map() });
  }

  private open(event: { client: string } & ApprovalSubjectJson, openedMs: number): void {
    const { id, request: type, role, version, sha256, expiresMs, client } = event;
    const subject = { id, type, role, version, sha256, expiresMs };
    this.requests.set(id, { subject, client, openedMs, approvals: [], state: 'open' });
  }

  private sign(event: Extract<LedgerEvent, { type: 'signed' }>): void {
    const before = this.roles.get(event.role);
    const memory = memoryOf(event, before);
    const isSame = before?.version === memory.version && before.sha256 === memory.sha256;
    if (event.role === 'root') this.root ??= { version: memory.version, sha256: memory.sha256 };
    const signatures = new Map([...(isSame ? before.signatures : []), ...Object.entries(event.signatures)]);
    this.roles.set(event.role, { ...memory, signatures });
    if (event.request !== undefined) this.change(event.request, () => ({ state: 'signed' }));
  }

  private change(id: string, change: (request: SigningRequest) => Partial<SigningRequest>): void {
    const request = this.requests.get(id);
    if (request === undefined) throw new Error(`there is no request ${id}`);
    this.requests.set(id, { ...request, ...change(request) });
  }
}

function memoryOf(
  json: { [Member in keyof SignedMemoryJson]: JsonValue },
  before?: SignedMemory,
): SignedMemory {
  const { version, sha256, remembered, ever = {} } = json;
  if (!Number.isSafeInteger(version) || typeof sha256 !== 'string') throw new Error('no version or no hash');
  if (!isJsonObject(remembered) || !isJsonObject(ever)) throw new Error('nothing is remembered');
  const all = [before?.ever ?? {}, ever, remembered].reduce(merge);
  return { version: version as number, sha256, remembered, ever: all };
}

/** Numbers only grow, and nothing that was known whole is forgotten for less. */
function merge(before: JsonObject, after: JsonObject): JsonObject {
  const merged: JsonObject = { ...before };
  for (const [name, value] of Object.entries(after)) {
    const was = before[name];
    if (typeof was === 'number' && typeof value === 'number') merged[name] = Math.max(was, value);
    else if (!isJsonObject(was) || isJsonObject(value)) merged[name] = value;
  }
  return merged;
}
