import { sha256, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import type { RandomSource } from '../../core/random.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { verifySignature } from '../../signing/public-key.ts';
import type { RoleSignature } from '../../signing/role-signer.ts';
import type { Signer } from '../../signing/signer.ts';
import { withdrawalDigest } from '../approvals.ts';
import type { AuditWriter, Step } from '../audit/audit-writer.ts';
import type { Config, KeyConfig, RoleConfig } from '../config.ts';
import { isProblemCode, refuse } from '../errors.ts';
import type { Judged } from '../request-types/request-type.ts';
import { requestTypeOf } from '../request-types/table.ts';
import type { Ledger, LedgerEvent, SigningRequest } from './ledger.ts';
import { approverOf, isExpired, isSignedBy, peopleBehind } from './people.ts';
import { createRateLimit } from './rate-limit.ts';
import { type RequestView, viewOf } from './views.ts';

export interface OpenKey extends KeyConfig {
  readonly signer: Signer;
}

export interface Submission {
  readonly type: string;
  readonly role: string;
  readonly keyIds: readonly string[];
  readonly text: string;
  readonly client: string;
}

export type SubmissionOutcome =
  | { readonly state: 'signed'; readonly signatures: readonly RoleSignature[] }
  | { readonly state: 'pending'; readonly request: RequestView };

export interface DeskParts {
  readonly config: Config;
  readonly keys: readonly OpenKey[];
  readonly ledger: Ledger;
  readonly audit: AuditWriter;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly step: Step;
}

/** Hashes of texts whose files were hashed: only so as not to do it for every call again. */
const MAX_VERIFIED = 1000;

/**
 * Everything that decides whether something is signed. It believes nothing that the front says but who the
 * client is, which decides only whose request it is.
 *
 * A signature leaves in this order: judged, signed, recorded, record durable, answered. A crash before the
 * record loses a signature that nobody saw; one after it leaves a record, and the same request gets the
 * signature from there.
 */
export class Desk {
  private readonly parts: DeskParts;
  private readonly takeToken: ReturnType<typeof createRateLimit>;
  private readonly turns = new Map<string, Promise<unknown>>();
  private readonly filesVerified = new Set<string>();

  constructor(parts: DeskParts) {
    this.parts = parts;
    this.takeToken = createRateLimit(parts.clock);
  }

  /** @throws {RefusedError} */
  async submit(submission: Submission): Promise<SubmissionOutcome> {
    const { role, keyIds, type } = submission;
    const policy = this.parts.config.roles.get(role) ?? refuse('key-not-here', `no key here signs ${role}`);
    const keys = this.keysFor(policy).filter(({ signer }) => keyIds.includes(signer.keyId));
    if (keys.length === 0) refuse('key-not-here', `none of these keys of ${role} is here`);
    if (requestTypeOf(type) === undefined)
      refuse('request-invalid', `"${type.slice(0, 40)}" is nothing that is signed here`);
    for (const { name, signaturesPerMinute } of keys)
      if (!this.takeToken(name, signaturesPerMinute))
        refuse('rate-limited', `key ${name} signs ${signaturesPerMinute} times a minute: try again later`);
    return this.inTurn(role, () => this.decide(submission, policy, keys));
  }

  /** @throws {RefusedError} */
  async approve(input: { id: string; keyId: string; signature: string }): Promise<RequestView> {
    const request = this.openRequest(input.id);
    const policy = this.policyOf(request);
    const { approvers } = this.parts.config;
    const approver = approverOf(approvers, input.keyId);
    if (approver === undefined || !policy.people.includes(approver.person))
      return refuse(
        'approval-refused',
        `no approver of ${policy.role} has the key ${input.keyId.slice(0, 12)}`,
      );
    const approved = { ...request, approvals: [...request.approvals, input] };
    const people = peopleBehind(request, policy, approvers);
    if (people.includes(approver.person)) return this.view(request);
    if (!peopleBehind(approved, policy, approvers).includes(approver.person))
      refuse('approval-refused', `the signature is not over the digest of request ${input.id}`);
    await this.record({ type: 'approved', ...input, person: approver.person });
    return this.view(this.parts.ledger.request(input.id) ?? approved);
  }

  /** By whoever asked, or with an approver's signature. @throws {RefusedError} */
  async withdraw(input: {
    id: string;
    client: string;
    keyId?: string;
    signature?: string;
  }): Promise<RequestView> {
    const request = this.openRequest(input.id);
    await this.record({ type: 'withdrawn', id: input.id, by: this.withdrawer(request, input) });
    return this.view(this.parts.ledger.request(input.id) ?? request);
  }

  requests(): readonly RequestView[] {
    this.parts.ledger.forgetBefore(this.parts.clock.nowMs() - this.parts.config.requestMs);
    return this.parts.ledger.allRequests().map((request) => this.view(request));
  }

  keys(): JsonObject {
    const { config, keys, ledger, audit } = this.parts;
    const last = [...ledger.lastRoles()].map(
      ([role, { version, sha256: hash }]) => [role, { version, sha256: hash }] as const,
    );
    return {
      keys: keys.map(({ name, signer }) => ({
        name,
        keyId: signer.keyId,
        key: { ...signer.key, keyval: { ...signer.key.keyval } },
        roles: [...config.roles.values()].filter((role) => role.keys.includes(name)).map(({ role }) => role),
      })),
      roles: [...config.roles.values()].map(({ role, approvals, people }) => ({
        role,
        approvals,
        people: [...people],
      })),
      lastSigned: Object.fromEntries(last),
      auditHead: { ...audit.head },
    };
  }

  private async decide(
    submission: Submission,
    policy: RoleConfig,
    keys: readonly OpenKey[],
  ): Promise<SubmissionOutcome> {
    const { judged, hash } = await this.judge(submission, policy);
    const done = this.signaturesOf(policy.role, hash);
    const open = keys.filter(({ signer }) => !done.has(signer.keyId));
    if (open.length > 0) {
      const approved = await this.approvedRequest(submission, policy, { hash, version: judged.version });
      if (approved?.state === 'pending') return approved;
      await this.sign({ submission, policy, judged, hash, keys: open, approved });
    }
    await this.parts.audit.settled();
    const signed = this.signaturesOf(policy.role, hash);
    const signatures = keys.map(({ signer }) => ({
      keyId: signer.keyId,
      signature: signed.get(signer.keyId) ?? '',
    }));
    this.parts.step('before-answer');
    return { state: 'signed', signatures };
  }

  private async judge(
    { type, text }: Submission,
    policy: RoleConfig,
  ): Promise<{ judged: Judged; hash: string }> {
    const { ledger, clock, config, step } = this.parts;
    const requestType = requestTypeOf(type) ?? refuse('request-invalid', 'nothing that is signed here');
    const judged = requestType.judge({
      policy,
      untrustedText: text,
      last: ledger.last(policy.role),
      lastOf: (role) => ledger.last(role),
      nowMs: clock.nowMs(),
    });
    const hash = toHex(sha256(judged.message));
    if (config.artifacts !== undefined && !this.filesVerified.has(hash)) {
      await judged.verifyFiles(config.artifacts);
      if (this.filesVerified.size >= MAX_VERIFIED) this.filesVerified.clear();
      this.filesVerified.add(hash);
    }
    step('judged');
    return { judged, hash };
  }

  private async approvedRequest(
    submission: Submission,
    policy: RoleConfig,
    content: { hash: string; version: number },
  ) {
    if (policy.approvals === 0) return undefined;
    const request =
      this.usableRequest(policy.role, content.hash) ?? (await this.open(submission, policy, content));
    const people = peopleBehind(request, policy, this.parts.config.approvers);
    if (people.length < policy.approvals) {
      await this.parts.audit.settled();
      return { state: 'pending', request: this.view(request) } as const;
    }
    return { state: 'approved', id: request.subject.id, people } as const;
  }

  private async open(
    submission: Submission,
    policy: RoleConfig,
    { hash, version }: { hash: string; version: number },
  ) {
    const { ledger, clock, config, random } = this.parts;
    const nowMs = clock.nowMs();
    ledger.forgetBefore(nowMs - config.requestMs);
    const waiting = ledger
      .allRequests()
      .filter(({ state, subject }) => state === 'open' && !isExpired(subject, nowMs));
    if (waiting.length >= config.maxOpenRequests)
      refuse('too-many-open', `${waiting.length} requests wait for approvals: approve or withdraw some`);
    const id = toHex(random(16));
    const { type, client } = submission;
    const expiresMs = nowMs + config.requestMs;
    await this.record({
      type: 'request-opened',
      id,
      request: type,
      role: policy.role,
      version,
      sha256: hash,
      expiresMs,
      client,
    });
    return ledger.request(id) ?? refuse('internal', 'the request was not kept');
  }

  private async sign(input: {
    submission: Submission;
    policy: RoleConfig;
    judged: Judged;
    hash: string;
    keys: readonly OpenKey[];
    approved: { id: string; people: readonly string[] } | undefined;
  }): Promise<void> {
    const { submission, policy, judged, hash, keys, approved } = input;
    const signatures = await Promise.all(
      keys.map(({ name, signer }) => signWith(name, signer, judged.message)),
    );
    this.parts.step('signed');
    // Taken back while a slow key was at work: then the signature goes nowhere.
    if (approved !== undefined && this.parts.ledger.request(approved.id)?.state === 'withdrawn')
      refuse('request-closed', `request ${approved.id} is withdrawn`);
    await this.record({
      type: 'signed',
      role: policy.role,
      version: judged.version,
      sha256: hash,
      signatures: Object.fromEntries(signatures),
      remembered: judged.remember,
      client: submission.client,
      ...(approved !== undefined && { request: approved.id, people: [...approved.people] }),
    });
  }

  /** The ledger changes at once, so that nothing else is decided on the old state; the answer waits for the disk. */
  private async record(event: LedgerEvent): Promise<void> {
    this.parts.ledger.apply(event, this.parts.clock.nowMs());
    await this.parts.audit.append(event as unknown as JsonObject);
  }

  private signaturesOf(role: string, hash: string): ReadonlyMap<string, string> {
    const last = this.parts.ledger.last(role);
    return last?.sha256 === hash ? last.signatures : new Map();
  }

  /** Approvals of a request that was signed still hold for a further key of the same content. */
  private usableRequest(role: string, hash: string): SigningRequest | undefined {
    const { ledger, clock } = this.parts;
    return ledger
      .allRequests()
      .find(
        ({ subject, state }) =>
          subject.role === role &&
          subject.sha256 === hash &&
          state !== 'withdrawn' &&
          !isExpired(subject, clock.nowMs()),
      );
  }

  private openRequest(id: string): SigningRequest {
    const request =
      this.parts.ledger.request(id) ?? refuse('request-unknown', `there is no request ${id.slice(0, 40)}`);
    if (request.state !== 'open') refuse('request-closed', `request ${id} is ${request.state}`);
    if (isExpired(request.subject, this.parts.clock.nowMs()))
      refuse('request-closed', `request ${id} has expired: ask again`);
    return request;
  }

  private withdrawer(
    request: SigningRequest,
    input: { client: string; keyId?: string; signature?: string },
  ): string {
    const { keyId, signature, client } = input;
    if (keyId === undefined || signature === undefined)
      return client === request.client
        ? client
        : refuse('approval-refused', 'only who asked, or an approver, withdraws a request');
    const approver = approverOf(this.parts.config.approvers, keyId);
    const digest = withdrawalDigest(request.subject);
    const mayWithdraw =
      approver !== undefined &&
      this.policyOf(request).people.includes(approver.person) &&
      isSignedBy(approver, { keyId, signature }, digest);
    return mayWithdraw
      ? approver.person
      : refuse('approval-refused', 'the signature is no approver’s over this withdrawal');
  }

  private policyOf({ subject }: SigningRequest): RoleConfig {
    return (
      this.parts.config.roles.get(subject.role) ??
      refuse('key-not-here', `no key here signs ${subject.role} any more`)
    );
  }

  private keysFor(policy: RoleConfig): readonly OpenKey[] {
    return this.parts.keys.filter(({ name }) => policy.keys.includes(name));
  }

  private view(request: SigningRequest): RequestView {
    const { config, clock } = this.parts;
    const policy = config.roles.get(request.subject.role);
    const people = policy === undefined ? [] : peopleBehind(request, policy, config.approvers);
    return viewOf(request, { people, wanted: policy?.approvals ?? 0, nowMs: clock.nowMs() });
  }

  /** One decision at a time for a role: the next one sees what this one signed. */
  private inTurn<T>(role: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.turns.get(role) ?? Promise.resolve()).then(work, work);
    this.turns.set(role, turn);
    return turn;
  }
}

/** A signature that does not verify never leaves, whatever made it. */
async function signWith(name: string, signer: Signer, message: Uint8Array): Promise<[string, string]> {
  try {
    const signature = toHex(await signer.sign(message));
    if (!verifySignature(signer.key, message, signature))
      throw new Error('it answered with a signature that is not its own');
    return [signer.keyId, signature];
  } catch (cause) {
    if (cause instanceof CodedError && isProblemCode(cause.code)) throw cause;
    return refuse('key-unavailable', `key ${name}: ${messageOf(cause)}`, cause);
  }
}
