import { createHash, randomBytes } from 'node:crypto';
import { fromBase64, toBase64, toHex } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { makeCredential } from '../../src/tpm/credential.ts';
import { computeName } from '../../src/tpm/name.ts';
import { parseTpm2bPublic } from '../../src/tpm/public-area.ts';
import { toKeyObject } from '../../src/tpm/public-key.ts';

/** An answer in the form of the protocol: a body with status 2xx, or a problem document. */
export interface Answer {
  status: number;
  body: JsonObject;
}

export interface EnrolmentLies {
  /** Instead of an offer. */
  begin?: (body: JsonObject) => Answer | undefined;
  offer?: (offer: JsonObject) => JsonObject;
  /** Instead of looking at the secrets. */
  activate?: (body: JsonObject) => Answer | undefined;
  /** What the right secrets lead to, and what a pending node hears later. */
  state?: () => JsonObject;
}

/** The enrolment part of a boot server that believes every certificate; secrets it does check. */
export interface ScriptedEnrolment {
  /** AK Names whose TPM has opened its credentials. */
  readonly known: Set<string>;
  begin(body: JsonObject, challengeFor: (akName: string) => Promise<string>): Promise<Answer>;
  activate(body: JsonObject): Answer;
  state(): Answer;
}

export const NODE_ID = `n-${'0'.repeat(20)}`;

export function createScriptedEnrolment(lies: () => EnrolmentLies): ScriptedEnrolment {
  const known = new Set<string>();
  const secrets = new Map<string, string>();
  let akName = '';
  const stateNow = () => lies().state?.() ?? { state: 'enrolled', nodeId: NODE_ID };
  return {
    known,
    async begin(body, challengeFor) {
      const refusal = lies().begin?.(body);
      if (refusal !== undefined) return refusal;
      const objectName = computeName(parseTpm2bPublic(fromBase64(String(body.akPublic))));
      akName = toHex(objectName);
      secrets.clear();
      const credentials = (body.eks as JsonObject[]).map((ek) => {
        const ekPublic = parseTpm2bPublic(fromBase64(String(ek.public)));
        const secret = randomBytes(32);
        const { credentialBlob, encryptedSecret } = makeCredential({
          ...{ ekPublic, objectName, credential: secret, random: (length: number) => randomBytes(length) },
        });
        const spki = toKeyObject(ekPublic).export({ type: 'spki', format: 'der' });
        const ekFingerprint = createHash('sha256').update(spki).digest('hex');
        secrets.set(ekFingerprint, toBase64(secret));
        return {
          ekFingerprint,
          credentialBlob: toBase64(credentialBlob),
          encryptedSecret: toBase64(encryptedSecret),
        };
      });
      const offer = { id: 'enrolment-1', challenge: await challengeFor(akName), credentials };
      return { status: 201, body: lies().offer?.(offer) ?? offer };
    },
    activate(body) {
      const refusal = lies().activate?.(body);
      if (refusal !== undefined) return refusal;
      const told = new Map((body.secrets as JsonObject[]).map((one) => [one.ekFingerprint, one.secret]));
      if (told.size !== secrets.size || [...secrets].some(([ek, secret]) => told.get(ek) !== secret))
        return problem(403, 'activation-refused', 'the TPM did not open the credential');
      known.add(akName);
      return { status: 200, body: stateNow() };
    },
    state: () => ({ status: 200, body: stateNow() }),
  };
}

export function problem(status: number, code: string, detail: string, members: JsonObject = {}): Answer {
  return { status, body: { ...members, type: 'about:blank', title: 'Refused', status, code, detail } };
}
