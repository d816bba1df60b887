import { type Static, Type } from 'typebox';

/** The configuration of docs/signing-service.md; `description` is the sentence that an error prints. */
const closed = { additionalProperties: false };

const path = Type.String({ minLength: 1, maxLength: 4096, description: 'a path' });
const name = Type.String({
  pattern: '^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$',
  description: 'a name: at most 64 of a-z, 0-9 and inner hyphens',
});
const count = (minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, description: `a whole number from ${minimum} to ${maximum}` });

const reference = Type.String({
  pattern: '^[a-z0-9]+:.{1,4000}$',
  description: 'a key: "file:PATH" and what docs/signing-service.md lists',
});
const secret = Type.String({
  pattern: '^(?:credential:[A-Za-z0-9_.-]{1,128}|file:.{1,4000}|fd:[1-9][0-9]{0,2})$',
  description: 'where a passphrase or PIN is: credential:NAME, file:PATH or fd:NUMBER',
});

export const ROLE_PATTERN =
  '^(?:root|targets|snapshot|timestamp|stage0|efi-image|pi-boot-image|channel-[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?)$';

const KEY = Type.Object(
  {
    name,
    reference,
    secret: Type.Optional(secret),
    signaturesPerMinute: Type.Optional(count(1, 1_000_000)),
  },
  closed,
);

const APPROVALS = Type.Object(
  {
    count: count(1, 32),
    people: Type.Array(name, {
      minItems: 1,
      maxItems: 64,
      description: 'a list of people from "approvers"',
    }),
  },
  closed,
);

const ROLE = Type.Object(
  {
    role: Type.String({
      pattern: ROLE_PATTERN,
      description:
        'a role: root, targets, snapshot, timestamp, stage0, channel-NAME, efi-image or pi-boot-image',
    }),
    keys: Type.Array(name, { minItems: 1, maxItems: 32, description: 'a list of names from "keys"' }),
    maxDays: Type.Optional(count(1, 3650)),
    images: Type.Optional(
      Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$', description: 'a SHA-256 in lower-case hex' }), {
        minItems: 1,
        maxItems: 1000,
        description: 'digests of the images that may be signed',
      }),
    ),
    approvals: Type.Optional(APPROVALS),
  },
  closed,
);

const APPROVER = Type.Object(
  {
    person: name,
    publicKeys: Type.Array(Type.String({ maxLength: 8192, description: 'a public key in PEM' }), {
      minItems: 1,
      maxItems: 16,
      description: 'a list of public keys in PEM',
    }),
  },
  closed,
);

const TCP = Type.Object(
  {
    host: Type.String({ pattern: '^[0-9A-Za-z:.-]{1,253}$', description: 'an IP address or host name' }),
    port: count(0, 65_535),
    certificateFile: path,
    keyFile: path,
    clientCaFile: path,
    clients: Type.Array(
      Type.Object(
        {
          name,
          spkiSha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'a SHA-256 in lower-case hex' }),
        },
        closed,
      ),
      { minItems: 1, maxItems: 256, description: 'the clients that may ask' },
    ),
  },
  closed,
);

export const CONFIG_SCHEMA = Type.Object(
  {
    stateDir: path,
    socket: Type.Object(
      { path, mode: Type.Optional(Type.String({ pattern: '^06[06]0$', description: '"0600" or "0660"' })) },
      closed,
    ),
    tcp: Type.Optional(TCP),
    keys: Type.Array(KEY, { minItems: 1, maxItems: 64, description: 'a list of keys' }),
    roles: Type.Array(ROLE, { minItems: 1, maxItems: 256, description: 'a list of roles' }),
    approvers: Type.Optional(Type.Array(APPROVER, { maxItems: 64, description: 'a list of people' })),
    /** Who may have metadata in force adopted; nobody without. */
    adoption: Type.Optional(Type.Object({ approvals: APPROVALS }, closed)),
    artifacts: Type.Optional(path),
    /** For PKCS#11 modules, which are configured that way; nothing that changes our own program. */
    moduleEnvironment: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^(?!NODE_|LD_|CREDENTIALS_)[A-Z][A-Z0-9_]{0,63}$' }),
        Type.String({ maxLength: 4096 }),
        { additionalProperties: false, description: 'variables for PKCS#11 modules' },
      ),
    ),
    requestHours: Type.Optional(count(1, 24 * 90)),
    maxOpenRequests: Type.Optional(count(1, 10_000)),
    refresh: Type.Optional(
      Type.Object(
        {
          repository: path,
          whenLeftHours: count(1, 24 * 365),
          everyMinutes: Type.Optional(count(1, 24 * 60)),
        },
        closed,
      ),
    ),
    logLevel: Type.Optional(
      Type.String({
        pattern: '^(?:error|warn|info|debug|silent)$',
        description: 'error, warn, info, debug or silent',
      }),
    ),
  },
  closed,
);

export type ConfigDocument = Static<typeof CONFIG_SCHEMA>;
