import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, sha256, toBase64, toHex } from '../../src/core/bytes.ts';
import { createEphemeralClient, type EphemeralClient } from '../ephemeral-client.ts';
import { readNodes, readVerdicts } from './server-records.ts';
import type { Stage, Step } from './step.ts';

/** Attack 4, without a machine: old evidence in new hands. Whoever replays needs no TPM at all. */
export const evidenceAttacks: Step = {
  title: "attack 4: boot 1's evidence is used again",
  async run(stage) {
    const client = await createEphemeralClient({
      port: stage.world.ports.agents,
      ca: await readFile(join(stage.world.dataDir, 'tls', 'ca.pem'), 'utf8'),
    });
    const boot1 = await savedEvidence(stage);
    await replayWhole(stage, client, boot1);
    await answerOtherChallenge(stage, client, boot1);
    client.close();
  },
};

interface SavedEvidence {
  akPublic: string;
  attest: string;
  signature: string;
  pcrs: { sha256: Record<string, string> };
  eventLog: string;
  challenge: string;
  claims: string;
}

/** The evidence file of the first boot that was accepted, as the server kept it. */
async function savedEvidence({ world }: Stage): Promise<SavedEvidence> {
  const boots = (await readVerdicts(world)).filter(
    ({ purpose, verdict }) => purpose === 'boot' && verdict === 'accept',
  );
  const text = await world.admin('verdicts', 'export', String(boots.at(-1)?.id));
  return JSON.parse(text) as SavedEvidence;
}

async function replayWhole(stage: Stage, client: EphemeralClient, saved: SavedEvidence): Promise<void> {
  const answer = await client.post('/v1/evidence', wireEvidence(saved));
  const code = reasonsOf(answer);
  stage.check({
    claim: "attack 4: boot 1's evidence sent once more: nonce-consumed",
    ok: code === 'nonce-consumed',
    observed: code,
  });
}

/** A second, enrolled TPM asks for its own challenge and answers with the first one's quote. */
async function answerOtherChallenge(
  stage: Stage,
  client: EphemeralClient,
  saved: SavedEvidence,
): Promise<void> {
  const nodes = await readNodes(stage.world);
  const ownAk = `000b${toHex(sha256(fromHex(saved.akPublic)))}`;
  const other = nodes.find((node) => node.akName !== ownAk) ?? {};
  const asked = await client.post('/v1/challenges', { akName: String(other.akName), purpose: 'boot' });
  const claims = JSON.parse(Buffer.from(saved.claims, 'base64').toString()) as Record<string, unknown>;
  const ownClaims = {
    ...claims,
    ekFingerprint: Array.isArray(other.ekFingerprints) ? other.ekFingerprints[0] : undefined,
    ephemeralKey: toBase64(client.spki),
  };
  const answer = await client.post('/v1/evidence', {
    ...wireEvidence(saved),
    challenge: String(asked.challenge),
    claims: toBase64(Buffer.from(JSON.stringify(ownClaims))),
  });
  const code = reasonsOf(answer);
  stage.check({
    claim:
      "attack 4: another enrolled TPM answers its own challenge with boot 1's quote: extra-data-mismatch",
    ok: code === 'extra-data-mismatch',
    observed: code,
  });
}

function wireEvidence(saved: SavedEvidence) {
  return {
    challenge: Buffer.from(saved.challenge, 'base64').toString(),
    claims: saved.claims,
    attest: toBase64(fromHex(saved.attest)),
    signature: toBase64(fromHex(saved.signature)),
    pcrs: saved.pcrs,
    eventLog: saved.eventLog,
  };
}

function reasonsOf(answer: Record<string, unknown>): string {
  const reasons = Array.isArray(answer.reasons) ? (answer.reasons as { code: string }[]) : [];
  return reasons.map(({ code }) => code).join(' ') || `answer ${JSON.stringify(answer).slice(0, 100)}`;
}
