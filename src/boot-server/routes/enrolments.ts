import { type Static, Type } from 'typebox';
import { toBase64 } from '../../core/bytes.ts';
import { clientCertificateOf } from '../client-certificate.ts';
import type { AgentsApp } from '../doors.ts';
import { requireClientKey } from '../services/client-key.ts';
import type { EnrolmentService } from '../services/enrolments.ts';
import { decodeEvidence } from './submitted-evidence.ts';
import { base64, decodeBase64, EnrolmentId, EvidenceBody, Sha256Hex } from './wire.ts';

const closed = { additionalProperties: false };
const MAX_PUBLIC_BYTES = 1024;
const MAX_CERTIFICATE_BYTES = 8192;
/** Eight EKs with the largest certificate, in base64, and some room. */
const MAX_BEGIN_BYTES = 128 * 1024;
const POLL_SECONDS = 15;

/** A token as it was made, or as somebody typed it. */
const MAX_TOKEN_LENGTH = 128;

const Hint = Type.String({ maxLength: 128, pattern: '^[\\x20-\\x7e]*$' });

const BeginBody = Type.Object(
  {
    eks: Type.Array(
      Type.Object(
        {
          public: base64(MAX_PUBLIC_BYTES),
          certificate: Type.Optional(base64(MAX_CERTIFICATE_BYTES)),
        },
        closed,
      ),
      { minItems: 1, maxItems: 8 },
    ),
    akPublic: base64(MAX_PUBLIC_BYTES),
    token: Type.Optional(
      Type.String({ minLength: 1, maxLength: MAX_TOKEN_LENGTH, pattern: '^[A-Za-z0-9._ -]*$' }),
    ),
    tpmManufacturer: Type.Optional(Type.String({ pattern: '^[0-9a-f]{8}$' })),
    hints: Type.Object(
      { mac: Type.Optional(Hint), serial: Type.Optional(Hint), product: Type.Optional(Hint) },
      closed,
    ),
  },
  closed,
);

const ActivationBody = Type.Object(
  {
    secrets: Type.Array(Type.Object({ ekFingerprint: Sha256Hex, secret: base64(64) }, closed), {
      minItems: 1,
      maxItems: 8,
    }),
    evidence: EvidenceBody,
  },
  closed,
);

const Params = Type.Object({ id: EnrolmentId }, closed);

const STATES = {
  pending: 'pending',
  enrolled: 'enrolled',
  rejected: 'rejected',
  revoked: 'rejected',
} as const;

export function registerEnrolmentRoutes(app: AgentsApp, on: { enrolments: EnrolmentService }): void {
  app.post(
    '/v1/enrolments',
    { schema: { body: BeginBody }, bodyLimit: MAX_BEGIN_BYTES },
    async (request, reply) => {
      const client = requireClientKey(clientCertificateOf(request));
      const { eks, akPublic, token, tpmManufacturer, hints } = request.body;
      const offered = await on.enrolments.begin({
        eks: eks.map(decodeEk),
        akPublic: decodeBase64('akPublic', akPublic),
        ...(token !== undefined && { token }),
        ...(tpmManufacturer !== undefined && { claimedVendorId: Number.parseInt(tpmManufacturer, 16) }),
        untrustedHints: hints,
        client,
      });
      reply.code(201).header('cache-control', 'no-store');
      return {
        id: offered.id,
        challenge: offered.challenge,
        credentials: offered.credentials.map((credential) => ({
          ekFingerprint: credential.ekFingerprint,
          credentialBlob: toBase64(credential.credentialBlob),
          encryptedSecret: toBase64(credential.encryptedSecret),
        })),
      };
    },
  );

  app.post(
    '/v1/enrolments/:id/activation',
    { schema: { params: Params, body: ActivationBody } },
    async (request, reply) => {
      const { node, facts } = await on.enrolments.activate({
        id: request.params.id,
        client: requireClientKey(clientCertificateOf(request)),
        evidence: decodeEvidence(request.body.evidence),
        secrets: request.body.secrets.map(({ ekFingerprint, secret }) => ({
          ekFingerprint,
          secret: decodeBase64('secrets', secret),
        })),
      });
      reply.header('cache-control', 'no-store');
      return {
        id: request.params.id,
        state: STATES[node.status],
        nodeId: node.id,
        ekFingerprint: node.ekFingerprints[0],
        facts,
      };
    },
  );

  app.get('/v1/enrolments/:id', { schema: { params: Params } }, async (request, reply) => {
    const client = requireClientKey(clientCertificateOf(request));
    const node = await on.enrolments.find({ id: request.params.id, client });
    reply.header('cache-control', 'no-store');
    return { state: STATES[node.status], retryAfterSeconds: POLL_SECONDS };
  });
}

function decodeEk(ek: Static<typeof BeginBody>['eks'][number]) {
  return {
    public: decodeBase64('eks', ek.public),
    ...(ek.certificate !== undefined && { certificate: decodeBase64('eks', ek.certificate) }),
  };
}
