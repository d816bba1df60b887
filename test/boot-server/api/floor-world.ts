import { computeExtraData } from '../../../src/attestation/evidence/extra-data.ts';
import { type FloorApprovals, signFloorApprovals } from '../../../src/attestation/floor/floor-approval.ts';
import { floorIndexPublic } from '../../../src/attestation/floor/floor-index.ts';
import { floorKeyNameOf, parseFloorKey } from '../../../src/attestation/floor/floor-key.ts';
import {
  channelHashOf,
  encodeFloorRecord,
  type FloorRecord,
  type FloorVersions,
} from '../../../src/attestation/floor/floor-record.ts';
import {
  type PredictedStage0Pcrs,
  predictStage0Pcrs,
} from '../../../src/attestation/policy/stage0-reference.ts';
import { asciiBytes, fromBase64, fromHex, sha256, toBase64 } from '../../../src/core/bytes.ts';
import { buildNvCertify } from '../../../src/fleet-sim/chip/software-ak.ts';
import type { EvidenceChanges, VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import type { Answer } from '../../../src/fleet-sim/wire/https-client.ts';
import { measureStage0 } from '../../../src/signing/efi/stage0-measurements.ts';
import { computeName } from '../../../src/tpm/name.ts';
import { parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';
import { createFloorKey } from '../../attestation/floor/floor-fixture.ts';
import { PublishedServer } from './published-server.ts';
import { CHANNEL } from './release-desk.ts';

export const KEY = createFloorKey();

interface Shown {
  record: FloorRecord;
  form: 'unlocked' | 'locked';
}

/** A server that lists its stage-0 with a floor key, and a node that keeps its record as it is told. */
export class FloorWorld {
  readonly server: PublishedServer;
  readonly node: VirtualNode;
  /** Of the stage-0 that is listed. */
  readonly approvals: FloorApprovals;

  private constructor(on: { server: PublishedServer; node: VirtualNode; approvals: FloorApprovals }) {
    this.server = on.server;
    this.node = on.node;
    this.approvals = on.approvals;
  }

  static async create(): Promise<FloorWorld> {
    const server = await PublishedServer.publish();
    const node = await server.enrolledNode();
    const approvals = await signFloorApprovals(pcrsOf(server), KEY.sign);
    const world = new FloorWorld({ server, node, approvals });
    requirePublished(await world.list(approvals));
    return world;
  }

  close(): Promise<void> {
    return this.server.close();
  }

  /** What booting its stage-0 leaves. */
  pcrs(): PredictedStage0Pcrs {
    return pcrsOf(this.server);
  }

  /** Lists the stage-0 that runs once more, with a floor key. */
  async list(floorApprovals: FloorApprovals, floorKey = KEY.floorKey): Promise<Answer> {
    const { desk, stage0 } = this.server;
    await desk.reissue('stage0', ({ targets }) => {
      Object.assign(targets[stage0.listing.target].custom, { floorKey, floorApprovals });
    });
    return this.server.publishDesk();
  }

  async listWithoutFloor(): Promise<void> {
    const { desk, stage0 } = this.server;
    await desk.reissue('stage0', ({ targets }) => {
      const { custom } = targets[stage0.listing.target];
      delete custom.floorKey;
      delete custom.floorApprovals;
    });
    requirePublished(await this.server.publishDesk());
  }

  /** Opens the server's doors again; the node finds the new ones. */
  async reopen(): Promise<void> {
    await this.server.open();
    Object.assign(this.node, { door: { ...this.node.door, port: this.server.ports.agents } });
    await this.node.powerCycle();
  }

  /** In force at this moment, as a node sees it. */
  published(): FloorVersions {
    const names = [...this.server.desk.filesInForce().keys()];
    const versionOf = (role: string) =>
      Math.max(...names.map((name) => Number(new RegExp(`^(\\d+)\\.${role}\\.json$`).exec(name)?.[1] ?? 0)));
    return {
      root: versionOf('root'),
      targets: versionOf('targets'),
      snapshot: versionOf('snapshot'),
      channel: versionOf(`channel-${CHANNEL}`),
    };
  }

  recordNow(changes: Partial<FloorRecord> = {}): FloorRecord {
    return { ...this.published(), channelHash: channelHashOf(CHANNEL), signedAtSeconds: 0, ...changes };
  }

  boot(record?: FloorRecord): Promise<Answer> {
    return this.send('boot', record && { record, form: 'unlocked' });
  }

  async health(record?: FloorRecord, changes: EvidenceChanges = {}): Promise<Answer> {
    const digest = (await this.nodeShown()).session.releaseDigest;
    const pcrs = (values: Map<number, Uint8Array>) => {
      values.set(14, sha256(new Uint8Array(32), fromHex(digest)));
    };
    return this.send('health', record && { record, form: 'locked' }, { ...changes, pcrs });
  }

  /** Evidence as a node with a floor sends it: the record certified for the same challenge, by the same AK. */
  async send(
    purpose: 'boot' | 'health',
    shown: Shown | undefined,
    changes: EvidenceChanges = {},
  ): Promise<Answer> {
    const { node } = this;
    const { json } = await node.askChallenge(node.akName, purpose);
    const evidence = await node.evidence(json.challenge, purpose, changes);
    if (shown === undefined) return node.submit(evidence);
    const claims = fromBase64(evidence.claims);
    const extraData = computeExtraData({ challenge: asciiBytes(json.challenge), claims });
    return node.submit({ ...evidence, floor: this.certify(shown, extraData) });
  }

  async nodeShown() {
    return (await this.server.operators(`/admin/v1/nodes/${this.node.id}`)).json;
  }

  async eventsOf(kind: string): Promise<{ subject: string; detail: Record<string, string> }[]> {
    const { json } = await this.server.operators('/admin/v1/events?limit=1000');
    return json.events.filter((event: { kind: string }) => event.kind === kind);
  }

  private certify({ record, form }: Shown, extraData: Uint8Array) {
    const area = floorIndexPublic(floorKeyNameOf(parseFloorKey(KEY.floorKey)), form);
    const contents = encodeFloorRecord(record);
    const attest = buildNvCertify({
      extraData,
      indexName: computeName(parseTpmsNvPublic(area)),
      contents,
      changes: { clockInfo: { ...this.node.clockInfo } },
    });
    return {
      attest: toBase64(attest),
      signature: toBase64(this.node.ak.sign(attest)),
      contents: toBase64(contents),
    };
  }
}

function pcrsOf({ stage0 }: PublishedServer): PredictedStage0Pcrs {
  return predictStage0Pcrs(measureStage0(stage0.image));
}

function requirePublished(answer: Answer): void {
  if (answer.status !== 200) throw new Error(`not published: ${answer.bytes}`);
}
