import { setImmediate } from 'node:timers/promises';
import { findPath } from '../../attestation/endorsement/ek-path.ts';
import {
  assembleTrustAnchors,
  splitBundle,
  withoutRepetition,
} from '../../attestation/endorsement/trust-anchor-bundle.ts';
import {
  type AnchorConsent,
  describeTrustAnchors,
  missingConsent,
  type TrustAnchorDescription,
} from '../../attestation/endorsement/trust-anchor-description.ts';
import type { PinnedRoot } from '../../attestation/endorsement/trust-anchor-pins.ts';
import type { TrustAnchorStore } from '../../attestation/endorsement/trust-anchor-store.ts';
import { TrustAnchorError, type TrustAnchors } from '../../attestation/endorsement/trust-anchors.ts';
import { parseCertificate } from '../../attestation/x509/x509.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { AnchorFolder } from '../anchor-folder.ts';
import { Problem } from '../problems.ts';
import { assembleTpmVendors, type FiledItem } from '../tpm-vendors.ts';

export interface CurrentTrustAnchors {
  anchors: TrustAnchors;
  /** Rises with each change while this process runs. */
  revision: number;
}

export type TrustAnchorEntry = TrustAnchorDescription & {
  /** `config`: from a folder of the configuration, which this server never changes. */
  source: 'config' | 'operator';
};

export interface TrustAnchorService {
  /** For one decision: the next may have others. */
  current(): CurrentTrustAnchors;
  list(): TrustAnchorEntry[];
  /** In force for the next enrolment when it returns. @throws {Problem | TrustAnchorError} */
  add(
    request: AnchorConsent & { bundle: Uint8Array; reason?: string },
  ): Promise<{ added: TrustAnchorEntry[]; known: number }>;
  /**
   * Nodes stay what they are. `nodesWithoutPath`: those whose EK certificate led to a root before and does
   * not now; whether to revoke them is the operator's decision.
   *
   * @throws {Problem}
   */
  remove(request: {
    sha256: string;
    reason?: string;
  }): Promise<{ removed: TrustAnchorEntry; nodesWithoutPath: string[] }>;
}

/** Certificates judged in a row before others get their turn. */
const CERTIFICATES_PER_TURN = 32;

/** @throws {TpmVendorsError} when what lies in the folders does not fit together */
export async function createTrustAnchorService(on: {
  configured: readonly FiledItem[];
  folder: AnchorFolder;
  pins: readonly PinnedRoot[];
  store: TrustAnchorStore;
  clock: Clock;
}): Promise<TrustAnchorService> {
  const { folder, pins, store, clock } = on;
  // What lies in both is the configuration's.
  let items = withoutRepetition([...(await folder.load()), ...on.configured]);
  let current: CurrentTrustAnchors = { anchors: assembleTpmVendors(items, pins), revision: 1 };
  const change = oneAtATime();

  function putInForce(next: readonly FiledItem[]): void {
    items = [...next];
    current = { anchors: assembleTrustAnchors(items, pins), revision: current.revision + 1 };
  }

  function describe(all: readonly FiledItem[], anchors: TrustAnchors): TrustAnchorEntry[] {
    const configured = new Set(all.filter((item) => item.folder !== folder.path).map(({ sha256 }) => sha256));
    return describeTrustAnchors(anchors, pins, clock.nowMs()).map((description) => ({
      ...description,
      source: configured.has(description.sha256) ? 'config' : 'operator',
    }));
  }

  async function record(kind: string, entries: readonly TrustAnchorEntry[], reason = ''): Promise<void> {
    const atSeconds = secondsOf(clock);
    await store.recordEvents(
      entries.map(({ sha256, role, status, subject }) => ({
        atSeconds,
        kind,
        subject: sha256,
        detail: { role, status, name: subject, reason },
      })),
    );
  }

  return {
    current: () => current,
    list: () => describe(items, current.anchors),

    add: (request) =>
      change(async () => {
        const here = new Set(items.map(({ sha256 }) => sha256));
        const offered = splitBundle(request.bundle);
        const fresh = offered
          .filter(({ sha256 }) => !here.has(sha256))
          .map((item) => ({ ...item, folder: folder.path }))
          .sort(certificatesFirst);
        const together = [...items, ...fresh];
        const isFresh = ({ sha256 }: TrustAnchorEntry) => !here.has(sha256);
        const added = describe(together, assembleTrustAnchors(together, pins)).filter(isFresh);
        requireConsent(added, request);
        // The log first: nothing is ever in force that it does not know of.
        await record('trust-anchor-added', added, request.reason);
        const saved: FiledItem[] = [];
        try {
          for (const item of fresh) {
            await folder.save(item);
            saved.push(item);
          }
        } finally {
          // When a file failed, those before it are in force now, as they would be after a restart.
          putInForce([...items, ...saved]);
        }
        return { added, known: offered.length - fresh.length };
      }),

    remove: ({ sha256, reason }) =>
      change(async () => {
        const item = items.find((one) => one.sha256 === sha256);
        const removed = describe(items, current.anchors).find((entry) => entry.sha256 === sha256);
        if (item === undefined || removed === undefined)
          throw new Problem('trust-anchor-unknown', `there is no certificate or CRL ${sha256}`);
        if (item.folder !== folder.path)
          throw new Problem(
            'trust-anchor-configured',
            `it lies in ${item.folder}, a folder of tpmVendors: remove ${item.file} there and restart`,
          );
        const before = current.anchors;
        const rest = items.filter((one) => one !== item);
        requireAssembled(rest, pins);
        await folder.remove(item);
        putInForce(rest);
        // The log last: nothing is ever in force that it says is gone.
        await record('trust-anchor-removed', [removed], reason);
        const nodesWithoutPath = await nodesThatLost({ before, after: current.anchors, store, clock });
        return { removed, nodesWithoutPath };
      }),
  };
}

function certificatesFirst(one: FiledItem, other: FiledItem): number {
  return Number(one.kind === 'crl') - Number(other.kind === 'crl');
}

function requireConsent(added: readonly TrustAnchorEntry[], consent: AnchorConsent): void {
  const missing = missingConsent(added, consent);
  if (missing.length === 0) return;
  const different = missing.filter(({ status }) => status === 'different').length;
  throw new Problem(
    'trust-anchors-refused',
    `roots that are not in keys/tpm-vendors.json: ${missing.length - different} of an unknown name, ${different} of a known name with another certificate; nothing was added`,
    { members: { roots: missing } },
  );
}

/** A CRL must not lose the CA that vouches for it: the next start would refuse it. */
function requireAssembled(items: readonly FiledItem[], pins: readonly PinnedRoot[]): void {
  try {
    assembleTrustAnchors(items, pins);
  } catch (cause) {
    if (!(cause instanceof TrustAnchorError)) throw cause;
    const detail = `a CRL depends on it, remove that first: ${messageOf(cause)}`;
    throw new Problem('trust-anchor-in-use', detail, { cause });
  }
}

async function nodesThatLost(on: {
  before: TrustAnchors;
  after: TrustAnchors;
  store: TrustAnchorStore;
  clock: Clock;
}): Promise<string[]> {
  const lost = new Set<string>();
  const nowMs = on.clock.nowMs();
  for (const [index, { nodeId, certificate }] of (await on.store.listEkCertificates()).entries()) {
    if (index % CERTIFICATES_PER_TURN === 0) await setImmediate();
    if (!hasPath(certificate, on.after, nowMs) && hasPath(certificate, on.before, nowMs)) lost.add(nodeId);
  }
  return [...lost];
}

/** Whatever expired since: that is not the removed certificate's doing. What cannot be read has none. */
function hasPath(certificate: Uint8Array, anchors: TrustAnchors, nowMs: number): boolean {
  try {
    findPath(parseCertificate(certificate), { anchors, nowMs, acceptExpiredIssuers: true });
    return true;
  } catch {
    return false;
  }
}

/** Changes wait for each other, also behind one that failed. */
function oneAtATime(): <Value>(work: () => Promise<Value>) => Promise<Value> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work, work);
    last = result;
    return result;
  };
}
