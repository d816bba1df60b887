import { sha256, toHex, utf8Bytes } from '../../core/bytes.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import type { RoleSignature } from '../../signing/role-signer.ts';
import type { Step } from '../audit/audit-writer.ts';
import type { KeyConfig, RoleConfig } from '../config.ts';
import { isProblemCode, refuse } from '../errors.ts';
import { ADOPTION_ROLE, judgeAdoption } from '../request-types/adoption.ts';
import type { Judged } from '../request-types/request-type.ts';
import { requestTypeOf } from '../request-types/table.ts';
import { createJudgingBudget, type JudgingBudget } from './judging-budget.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';
import { RequestBook, type RequestBookParts, type Submission } from './request-book.ts';
import type { RequestView } from './views.ts';

/** A key of either kind: one of TUF roles, or an RSA key that signs images. */
export interface ServiceSigner {
  readonly keyId: string;
  /** As it is shown. */
  readonly publicKey: JsonObject;
  /** SubjectPublicKeyInfo, hex: tells keys apart. */
  readonly publicDer: string;
  sign(message: Uint8Array): Promise<Uint8Array>;
  isSignature(message: Uint8Array, signature: string): boolean;
}

export interface OpenKey extends KeyConfig {
  readonly signer: ServiceSigner;
}

export type SubmissionOutcome =
  | { readonly state: 'signed'; readonly signatures: readonly RoleSignature[] }
  /** The base changed, nothing was signed. */
  | { readonly state: 'adopted' }
  | { readonly state: 'pending'; readonly request: RequestView };

export interface DeskParts extends RequestBookParts {
  readonly keys: readonly OpenKey[];
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
  readonly book: RequestBook;
  private readonly parts: DeskParts;
  private readonly takeToken: RateLimit;
  private readonly budget: JudgingBudget;
  private readonly turns = new Map<string, Promise<unknown>>();
  private readonly filesVerified = new Set<string>();

  constructor(parts: DeskParts) {
    this.parts = parts;
    this.book = new RequestBook(parts);
    this.takeToken = createRateLimit(parts.clock);
    this.budget = createJudgingBudget(parts.clock, parts.keys);
  }

  /** @throws {RefusedError} */
  async submit(submission: Submission): Promise<SubmissionOutcome> {
    const { role, keyIds, type } = submission;
    if (type === ADOPTION_ROLE) return this.adopt({ ...submission, role: ADOPTION_ROLE });
    const policy = this.parts.config.roles.get(role) ?? refuse('key-not-here', `no key here signs ${role}`);
    const keys = this.keysFor(policy).filter(({ signer }) => keyIds.includes(signer.keyId));
    if (keys.length === 0) refuse('key-not-here', `none of these keys of ${role} is here`);
    if (requestTypeOf(type, role) === undefined)
      refuse('request-invalid', `"${type.slice(0, 40)}" is nothing that ${role} signs`);
    this.budget.takeText(submission.client, submission.text);
    return this.inTurn([role], () => this.decide(submission, policy, keys));
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
        key: signer.publicKey,
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

  /** No role is signed meanwhile: each decision is on one base. */
  private adopt(submission: Submission): Promise<SubmissionOutcome> {
    const { config, ledger } = this.parts;
    const policy =
      config.roles.get(ADOPTION_ROLE) ?? refuse('key-not-here', 'the configuration has no "adoption"');
    this.budget.takeText(submission.client, submission.text);
    return this.inTurn([...config.roles.keys()], async () => {
      const hash = toHex(sha256(utf8Bytes(submission.text)));
      if (this.book.isDone(ADOPTION_ROLE, hash)) return { state: 'adopted' };
      const { version, roles } = judgeAdoption(submission.text, ledger.trustedRoot);
      const approved = await this.book.approvedRequest(submission, policy, { hash, version });
      if (approved === undefined) return refuse('adoption-refused', 'nobody has to approve it');
      if (approved.state === 'pending') return approved;
      this.book.requireNotWithdrawn(approved.id);
      const { id: request, people } = approved;
      const by = { client: submission.client, request, people: [...people] };
      await this.book.record({ type: 'adopted', roles, sha256: hash, ...by });
      return { state: 'adopted' };
    });
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
      const approved = await this.book.approvedRequest(submission, policy, { hash, version: judged.version });
      if (approved?.state === 'pending') return approved;
      this.takeTokens(open);
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
    { type, role, text, client }: Submission,
    policy: RoleConfig,
  ): Promise<{ judged: Judged; hash: string }> {
    const { ledger, clock, config, step } = this.parts;
    const requestType = requestTypeOf(type, role) ?? refuse('request-invalid', 'nothing that is signed here');
    const judged = requestType.judge({
      policy,
      untrustedText: text,
      last: ledger.last(policy.role),
      lastOf: (role) => ledger.last(role),
      nowMs: clock.nowMs(),
      folders: {
        images: config.imagesDir,
        ...(config.artifacts !== undefined && { artifacts: config.artifacts }),
      },
    });
    const hash = toHex(sha256(utf8Bytes(text)));
    if (judged.verifyFiles !== undefined && !this.filesVerified.has(hash)) {
      this.budget.takeFiles(client);
      await judged.verifyFiles();
      if (this.filesVerified.size >= MAX_VERIFIED) this.filesVerified.clear();
      this.filesVerified.add(hash);
    }
    step('judged');
    return { judged, hash };
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
    const message = await judged.message();
    const signatures = await Promise.all(keys.map(({ name, signer }) => signWith(name, signer, message)));
    this.parts.step('signed');
    if (approved !== undefined) this.book.requireNotWithdrawn(approved.id);
    await this.book.record({
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

  /** Last, so that only what is going to be signed counts: nobody uses up a key with what is refused. */
  private takeTokens(keys: readonly OpenKey[]): void {
    for (const { name, signaturesPerMinute } of keys)
      if (!this.takeToken(name, signaturesPerMinute))
        refuse('rate-limited', `key ${name} signs ${signaturesPerMinute} times a minute: try again later`);
  }

  private signaturesOf(role: string, hash: string): ReadonlyMap<string, string> {
    const last = this.parts.ledger.last(role);
    return last?.sha256 === hash ? last.signatures : new Map();
  }

  private keysFor(policy: RoleConfig): readonly OpenKey[] {
    return this.parts.keys.filter(({ name }) => policy.keys.includes(name));
  }

  /** One decision at a time for a role: the next one sees what this one signed. */
  private inTurn<T>(roles: readonly string[], work: () => Promise<T>): Promise<T> {
    const turn = Promise.allSettled(roles.map((role) => this.turns.get(role))).then(work);
    for (const role of roles) this.turns.set(role, turn);
    return turn;
  }
}

/** A signature that does not verify never leaves, whatever made it. */
async function signWith(name: string, signer: ServiceSigner, message: Uint8Array): Promise<[string, string]> {
  try {
    const signature = toHex(await signer.sign(message));
    if (!signer.isSignature(message, signature))
      throw new Error('it answered with a signature that is not its own');
    return [signer.keyId, signature];
  } catch (cause) {
    if (cause instanceof CodedError && isProblemCode(cause.code)) throw cause;
    return refuse('key-unavailable', `key ${name}: ${messageOf(cause)}`, cause);
  }
}
