import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { withdrawalDigest } from '../approvals.ts';
import type { AuditWriter } from '../audit/audit-writer.ts';
import type { Config, RoleConfig } from '../config.ts';
import { refuse } from '../errors.ts';
import type { Ledger, LedgerEvent, SigningRequest } from './ledger.ts';
import { approverOf, isExpired, isSignedBy, peopleBehind } from './people.ts';
import { type RequestView, viewOf } from './views.ts';

/** What a client asks for. */
export interface Submission {
  readonly type: string;
  readonly role: string;
  readonly keyIds: readonly string[];
  readonly text: string;
  readonly client: string;
}

export interface RequestBookParts {
  readonly config: Config;
  readonly ledger: Ledger;
  readonly audit: AuditWriter;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** What waits for people, and who of them approved it. Every change is in the audit log before it is answered. */
export class RequestBook {
  private readonly parts: RequestBookParts;

  constructor(parts: RequestBookParts) {
    this.parts = parts;
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

  list(): readonly RequestView[] {
    this.parts.ledger.forgetBefore(this.parts.clock.nowMs() - this.parts.config.requestMs);
    return this.parts.ledger.allRequests().map((request) => this.view(request));
  }

  /** Taken back while a slow key was at work: then what it signed goes nowhere. @throws {RefusedError} */
  requireNotWithdrawn(id: string): void {
    if (this.parts.ledger.request(id)?.state === 'withdrawn')
      refuse('request-closed', `request ${id} is withdrawn`);
  }

  /** Whether these approvals were used: what changes the state happens once. */
  isDone(role: string, hash: string): boolean {
    return this.usableRequest(role, hash)?.state === 'signed';
  }

  async approvedRequest(
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

  /** The ledger changes at once, so that nothing else is decided on the old state; the answer waits for the disk. */
  async record(event: LedgerEvent): Promise<void> {
    this.parts.ledger.apply(event, this.parts.clock.nowMs());
    await this.parts.audit.append(event);
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

  private view(request: SigningRequest): RequestView {
    const { config, clock } = this.parts;
    const policy = config.roles.get(request.subject.role);
    const people = policy === undefined ? [] : peopleBehind(request, policy, config.approvers);
    return viewOf(request, { people, wanted: policy?.approvals ?? 0, nowMs: clock.nowMs() });
  }
}
