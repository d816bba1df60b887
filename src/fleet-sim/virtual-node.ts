import { ekFingerprint } from '../attestation/endorsement/ek-certificate.ts';
import { computeExtraData } from '../attestation/evidence/extra-data.ts';
import { asciiBytes, EMPTY, fromBase64, fromHex, sha256, toBase64, toHex, utf8Bytes } from '../core/bytes.ts';
import type { QuoteAttest } from '../tpm/attest.ts';
import { computeName } from '../tpm/name.ts';
import { parseTpmtPublic } from '../tpm/public-area.ts';
import { sized } from '../tpm/writer.ts';
import { buildQuote, CLOCK_INFO, createSoftwareAk, type SoftwareAk } from './chip/software-ak.ts';
import type { SoftwareEk } from './chip/software-ek.ts';
import { pcrsOf } from './firmware/replayed-pcrs.ts';
import { createIdentity, spkiOf } from './wire/ephemeral-identity.ts';
import {
  type Answer,
  type ClientIdentity,
  createHttpsClient,
  type HttpsClient,
} from './wire/https-client.ts';

/** What one test changes of what a node sends; everything else stays right. */
export interface EvidenceChanges {
  claims?: Record<string, unknown>;
  /** PCR values that the TPM quotes. */
  pcrs?: (pcrs: Map<number, Uint8Array>) => void;
  /** `undefined` sends none; its hash in the claims follows. */
  eventLog?: Uint8Array | undefined;
  attest?: Partial<QuoteAttest>;
  /** What it has to say of its boot; its hash in the claims follows. */
  report?: string;
  /** Another key of the same template signs. */
  ak?: SoftwareAk;
}

export interface QuoteRequest {
  extraData: Uint8Array;
  pcrs: Map<number, Uint8Array>;
  changes: EvidenceChanges;
}

export interface QuoteAnswer {
  /** TPMS_ATTEST and TPMT_SIGNATURE. */
  attest: Uint8Array;
  signature: Uint8Array;
}

export interface Evidence {
  challenge: string;
  claims: string;
  attest: string;
  signature: string;
  pcrs: { sha256: Record<string, string> };
  eventLog?: string;
  report?: string;
}

export interface Offer {
  id: string;
  challenge: string;
  credentials: { ekFingerprint: string; credentialBlob: string; encryptedSecret: string }[];
}

export interface AgentsDoor {
  /** The loopback where it is missing. */
  host?: string;
  port: number;
  ca: string;
}

interface NodeParts {
  door: AgentsDoor;
  ek: SoftwareEk;
  /** What firmware logged while it started stage-0. */
  eventLog: Uint8Array;
  stage0Build: number;
}

/** A machine in software: TPM, firmware log, ephemeral key and connection, all speaking docs/protocol.md. */
export class VirtualNode {
  readonly ek: SoftwareEk;
  /** Others of the same chip, shown after the first. */
  furtherEks: SoftwareEk[] = [];
  ak = createSoftwareAk();
  eventLog: Uint8Array;
  stage0Build: number;
  clockInfo = { ...CLOCK_INFO };
  identity: ClientIdentity;
  client: HttpsClient;
  private readonly clients: HttpsClient[] = [];
  readonly door: AgentsDoor;

  private constructor({ door, ek, eventLog, stage0Build }: NodeParts, identity: ClientIdentity) {
    this.door = door;
    this.ek = ek;
    this.eventLog = eventLog;
    this.stage0Build = stage0Build;
    this.identity = identity;
    this.client = this.connect(identity);
  }

  static async create(parts: NodeParts): Promise<VirtualNode> {
    return new VirtualNode(parts, await createIdentity());
  }

  get fingerprint(): string {
    return ekFingerprint(this.ek.publicArea);
  }

  get id(): string {
    return `n-${this.fingerprint.slice(0, 20)}`;
  }

  get akNameBytes(): Uint8Array {
    return computeName(parseTpmtPublic(this.ak.publicBytes));
  }

  get akName(): string {
    return toHex(this.akNameBytes);
  }

  /** A new boot: the TPM counts it, and there is a new ephemeral key. */
  async powerCycle(): Promise<void> {
    this.clockInfo.resetCount += 1;
    this.identity = await createIdentity();
    this.client = this.connect(this.identity);
  }

  /** A connection of somebody: of another boot, or of nobody in particular. */
  connect(identity?: ClientIdentity): HttpsClient {
    const client = createHttpsClient({ ...this.door, identity });
    this.clients.push(client);
    return client;
  }

  /** Every connection that it ever had. */
  close(): void {
    for (const client of this.clients.splice(0)) client.close();
  }

  /** The body of POST /v1/enrolments. */
  enrolmentBody(changes: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      eks: [this.ek, ...this.furtherEks].map(toPresented),
      akPublic: toBase64(sized(this.ak.publicBytes)),
      tpmManufacturer: IBM,
      hints: { mac: '52:54:00:00:00:01', product: 'virtual node' },
      ...changes,
    };
  }

  begin(changes: Record<string, unknown> = {}): Promise<Answer> {
    return this.post('/v1/enrolments', this.enrolmentBody(changes));
  }

  /** What the TPM makes of the offered credentials. */
  secretsFor(offer: Offer): { ekFingerprint: string; secret: string }[] {
    const eks = [this.ek, ...this.furtherEks];
    return offer.credentials.map(({ ekFingerprint: offered, credentialBlob, encryptedSecret }) => {
      const ek = eks.find(({ publicArea }) => ekFingerprint(publicArea) === offered) ?? this.ek;
      const secret = ek.open({
        credentialBlob: fromBase64(credentialBlob),
        encryptedSecret: fromBase64(encryptedSecret),
        name: this.akNameBytes,
      });
      return { ekFingerprint: offered, secret: toBase64(secret) };
    });
  }

  async activationBody(offer: Offer, changes: EvidenceChanges = {}): Promise<Record<string, unknown>> {
    return {
      secrets: this.secretsFor(offer),
      evidence: await this.evidence(offer.challenge, 'enrol', changes),
    };
  }

  activate(id: string, body: unknown): Promise<Answer> {
    return this.post(`/v1/enrolments/${id}/activation`, body);
  }

  /** The whole enrolment; answers the activation. */
  async enrol(changes: Record<string, unknown> = {}): Promise<Answer> {
    const begun = await this.begin(changes);
    if (begun.status !== 201) return begun;
    return this.activate(begun.json.id, await this.activationBody(begun.json));
  }

  poll(id: string): Promise<Answer> {
    return this.client.call(`/v1/enrolments/${id}`);
  }

  async challenge(): Promise<string> {
    const answer = await this.askChallenge();
    if (answer.status !== 200) throw new Error(`no challenge: ${answer.bytes}`);
    return answer.json.challenge;
  }

  askChallenge(akName = this.akName, purpose = 'boot'): Promise<Answer> {
    return this.post('/v1/challenges', { akName, purpose });
  }

  /** Evidence of the running system, which was handed over to with this release. */
  async prove(
    purpose: 'health' | 'reattest',
    releaseDigest: string,
    changes: EvidenceChanges = {},
  ): Promise<Answer> {
    const asked = await this.askChallenge(this.akName, purpose);
    if (asked.status !== 200) return asked;
    const handover = sha256(new Uint8Array(32), fromHex(releaseDigest));
    const pcrs = (values: Map<number, Uint8Array>) => {
      values.set(14, handover);
      changes.pcrs?.(values);
    };
    return this.submit(await this.evidence(asked.json.challenge, purpose, { ...changes, pcrs }));
  }

  async evidence(challenge: string, purpose: string, changes: EvidenceChanges = {}): Promise<Evidence> {
    const eventLog = 'eventLog' in changes ? changes.eventLog : this.eventLog;
    const report = changes.report === undefined ? undefined : utf8Bytes(changes.report);
    const claims = asciiBytes(
      JSON.stringify({
        purpose,
        serverKey: await this.client.serverKey(),
        ekFingerprint: this.fingerprint,
        ephemeralKey: toBase64(spkiOf(this.identity)),
        eventLogSha256: toHex(sha256(eventLog ?? EMPTY)),
        stage0Build: this.stage0Build,
        ...(report && { reportSha256: toHex(sha256(report)) }),
        ...changes.claims,
      }),
    );
    const pcrs = pcrsOf(this.eventLog);
    changes.pcrs?.(pcrs);
    const extraData = computeExtraData({ challenge: asciiBytes(challenge), claims });
    const { attest, signature } = await this.quote({ extraData, pcrs, changes });
    return {
      challenge,
      claims: toBase64(claims),
      attest: toBase64(attest),
      signature: toBase64(signature),
      pcrs: { sha256: Object.fromEntries([...pcrs].map(([pcr, value]) => [String(pcr), toHex(value)])) },
      ...(eventLog && { eventLog: toBase64(eventLog) }),
      ...(report && { report: toBase64(report) }),
    };
  }

  /** TPM2_Quote; a test with a real TPM puts its own here. */
  quote = async ({ extraData, pcrs, changes }: QuoteRequest): Promise<QuoteAnswer> => {
    const ak = changes.ak ?? this.ak;
    const attest = buildQuote({
      ak,
      extraData,
      pcrs,
      changes: { clockInfo: { ...this.clockInfo }, ...changes.attest },
    });
    return { attest, signature: ak.sign(attest) };
  };

  submit(evidence: unknown): Promise<Answer> {
    return this.post('/v1/evidence', evidence);
  }

  /** Challenge, quote, evidence; answers the verdict. */
  async attest(changes: EvidenceChanges = {}): Promise<Answer> {
    return this.submit(await this.evidence(await this.challenge(), 'boot', changes));
  }

  /** The grant of an accepted boot. */
  async grant(): Promise<string> {
    const answer = await this.attest();
    if (answer.status !== 200) throw new Error(`no grant: ${answer.bytes}`);
    return answer.json.grant;
  }

  /** Done with the downloads: the grant is closed for ever. */
  closeGrant(grant: string): Promise<Answer> {
    return this.client.call('/v1/grant', { method: 'DELETE', headers: { authorization: `Bearer ${grant}` } });
  }

  fetch(hash: string, grant?: string, headers: Record<string, string> = {}): Promise<Answer> {
    const authorization = grant === undefined ? {} : { authorization: `Bearer ${grant}` };
    return this.client.call(`/v1/artifacts/${hash}`, { headers: { ...authorization, ...headers } });
  }

  post(path: string, body: unknown, client = this.client): Promise<Answer> {
    return client.call(path, { method: 'POST', body });
  }
}

/** TPM_PT_MANUFACTURER of swtpm, for which our certificates are made. */
const IBM = '49424d00';

/** As an enrolment shows it. */
export function toPresented(ek: SoftwareEk): { public: string; certificate: string } {
  return { public: toBase64(ek.public), certificate: toBase64(ek.certificate) };
}
