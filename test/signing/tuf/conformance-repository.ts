import { expect } from 'vitest';
import { referenceOf } from '../../../src/signing/artifact.ts';
import type { Signer } from '../../../src/signing/signer.ts';
import type { TufErrorCode } from '../../../src/signing/tuf/errors.ts';
import { type VerifiedRepository, verifyRepository } from '../../../src/signing/tuf/verify-repository.ts';
import {
  EXPIRY,
  type Flippable,
  GRANT_KEY,
  NOW_MS,
  SIGNERS,
  signDocument,
  signersOf,
} from './tuf-fixture.ts';
import { createRepository } from './write-with-keys.ts';

const TOP_LEVEL: readonly string[] = ['root', 'timestamp', 'snapshot', 'targets'];

/** Does what the simulator of tuf-conformance does, right or wrong. Every role begins at version 1. */
export class ConformanceRepository {
  readonly files = new Map<string, Uint8Array>();
  readonly signers = new Map<string, Signer[]>();
  private readonly documents = new Map<string, Flippable>();

  static async create(): Promise<ConformanceRepository> {
    const repository = new ConformanceRepository();
    const files = await createRepository({ signers: SIGNERS, grantKeys: [GRANT_KEY], expiry: EXPIRY });
    for (const { name, bytes } of files) {
      const role = name.replace(/^\d+\./, '').replace(/\.json$/, '');
      repository.files.set(name, bytes);
      repository.documents.set(role, JSON.parse(Buffer.from(bytes).toString()).signed);
      repository.signers.set(role, [...signersOf(role)]);
    }
    return repository;
  }

  /** The signed part of a role as it will be published next, but for its version. */
  signed(role: string): Flippable {
    return this.documents.get(role) ?? missing(role);
  }

  fileOf(role: string, version: number = this.signed(role).version): string {
    return role === 'timestamp' ? 'timestamp.json' : `${version}.${role}.json`;
  }

  bytes(role: string): Uint8Array {
    return this.files.get(this.fileOf(role)) ?? missing(role);
  }

  /** Signs the next version of each, and has its parent list it. */
  async publish(...roles: readonly string[]): Promise<void> {
    for (const role of roles) {
      const signed = this.signed(role);
      signed.version += 1;
      this.serve(role, await signDocument(signed, this.signersFor(role)));
    }
  }

  /** Puts these bytes under the role's present name. */
  serve(role: string, bytes: Uint8Array): void {
    this.files.set(this.fileOf(role), bytes);
    if (role === 'root' || role === 'timestamp') return;
    const { length, sha256 } = referenceOf(bytes);
    const parent = role === 'snapshot' ? 'timestamp' : 'snapshot';
    const { version } = this.signed(role);
    this.signed(parent).meta[`${role}.json`] = { version, length, hashes: { sha256 } };
  }

  /** Changes what surrounds the signed part of what is served. */
  reserve(role: string, change: (document: Flippable) => void): void {
    const document = JSON.parse(Buffer.from(this.bytes(role)).toString());
    change(document);
    this.serve(role, Buffer.from(JSON.stringify(document)));
  }

  /** No version of the role is served any more; the next one is version 1. */
  restart(role: string): void {
    for (const name of [...this.files.keys()])
      if (name === `${role}.json` || /^\d+\.(.*)\.json$/.exec(name)?.[1] === role) this.files.delete(name);
    this.signed(role).version = 0;
  }

  addKey(role: string, signer: Signer): void {
    this.allow(role, signer);
    this.signersFor(role).push(signer);
  }

  /** The key may sign for the role from now on, and doesn't. */
  allow(role: string, { key, keyId }: Signer): void {
    const root = this.signed('root');
    root.keys[keyId] = key;
    root.roles[role].keyids.push(keyId);
  }

  setKeys(role: string, rule: { keys: readonly Signer[]; threshold: number; signers: Signer[] }): void {
    Object.assign(this.signed('root').roles[role], { keyids: [], threshold: rule.threshold });
    for (const key of rule.keys) this.allow(role, key);
    this.signers.set(role, rule.signers);
  }

  rotateKeys(role: string, next: Signer): void {
    this.setKeys(role, { keys: [next], threshold: 1, signers: [next] });
  }

  removeChannel(channel: string): void {
    const { delegations } = this.signed('targets');
    const role = `channel-${channel}`;
    delegations.roles = delegations.roles.filter(({ name }: { name: string }) => name !== role);
    delete this.signed('snapshot').meta[`${role}.json`];
  }

  signersFor(role: string): Signer[] {
    return this.signers.get(role) ?? missing(role);
  }
}

/** A reader with a memory: what it trusts changes only when everything was good. */
export class ConformanceClient {
  private trusted: VerifiedRepository | undefined;
  private readonly repository: ConformanceRepository;
  private readonly trustedRoot: Uint8Array;

  constructor(repository: ConformanceRepository, trustedRoot: Uint8Array = repository.bytes('root')) {
    this.repository = repository;
    this.trustedRoot = trustedRoot;
  }

  refresh(nowMs: number = NOW_MS): VerifiedRepository {
    const { trusted, trustedRoot, repository } = this;
    const { files } = repository;
    const previous = trusted && { previous: trusted.roles };
    this.trusted = verifyRepository({ trustedRoot, files, nowMs, ...previous });
    return this.trusted;
  }

  /** ... and still trusts what it did before. */
  refuses(code: TufErrorCode, nowMs: number = NOW_MS): void {
    const before = this.trusted;
    expect(() => this.refresh(nowMs)).toThrow(expect.objectContaining({ name: 'TufError', code }));
    expect(this.trusted).toBe(before);
  }

  version(role: string): number | undefined {
    return this.trusted?.roles.get(role)?.version;
  }

  /** Root, timestamp, snapshot, targets. */
  versions(): readonly (number | undefined)[] {
    return TOP_LEVEL.map((role) => this.version(role));
  }
}

function missing(role: string): never {
  throw new Error(`no ${role} in the test repository`);
}
