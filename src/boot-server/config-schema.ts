import { type Static, Type } from 'typebox';
import { CHANNEL_NAME_PATTERN } from '../signing/names.ts';

/**
 * Every setting, its default and, as `description`, what it must be: the sentence that an error prints.
 * docs/configuration.md says what each is for; a test compares the two.
 */
const closed = { additionalProperties: false, default: {} };

const port = (value: number) =>
  Type.Integer({ minimum: 0, maximum: 65535, default: value, description: 'a TCP port from 0 to 65535' });

const host = () =>
  Type.String({
    pattern: '^[0-9A-Za-z:.-]{1,253}$',
    default: '127.0.0.1',
    description: 'an IP address or host name to listen on, such as 0.0.0.0 or ::',
  });

const seconds = (minimum: number, maximum: number, value: number) =>
  Type.Integer({
    minimum,
    maximum,
    default: value,
    description: `a whole number of seconds from ${minimum} to ${maximum}`,
  });

const count = (minimum: number, maximum: number, value: number) =>
  Type.Integer({
    minimum,
    maximum,
    default: value,
    description: `a whole number from ${minimum} to ${maximum}`,
  });

const path = (what: string) => Type.String({ minLength: 1, maxLength: 4096, description: what });

const oneOf = <const Values extends readonly string[]>(values: Values, value: Values[number]) =>
  Type.Unsafe<Values[number]>({
    type: 'string',
    enum: values,
    default: value,
    description: `one of ${values.join(', ')}`,
  });

export const MAX_VERIFICATION_THREADS = 64;

export const CONFIG_SCHEMA = Type.Object(
  {
    dataDir: Type.String({
      minLength: 1,
      maxLength: 4096,
      default: 'bootward-data',
      description: 'the path of a folder that the server may write',
    }),
    publicHosts: Type.Array(Type.String({ pattern: '^[0-9A-Za-z:.-]{1,253}$' }), {
      minItems: 1,
      maxItems: 64,
      default: ['127.0.0.1', '::1', 'localhost'],
      description: 'a list of 1 to 64 IP addresses and host names, without scheme or port',
    }),
    firmware: Type.Object({ host: host(), port: port(8443) }, closed),
    agents: Type.Object({ host: host(), port: port(8444) }, closed),
    operators: Type.Object(
      {
        socket: Type.Optional(path('the path of a Unix socket, at most 107 bytes long')),
        mode: oneOf(['0600', '0660'], '0600'),
      },
      closed,
    ),
    metrics: Type.Object(
      {
        port: Type.Optional(
          Type.Integer({ minimum: 0, maximum: 65535, description: 'a TCP port from 0 to 65535' }),
        ),
      },
      closed,
    ),
    trust: Type.Object(
      { rootFile: Type.Optional(path('the path of a TUF root metadata file, such as 1.root.json')) },
      closed,
    ),
    tpmVendors: Type.Optional(
      Type.Array(path(''), {
        minItems: 1,
        maxItems: 64,
        description: 'a list of 1 to 64 folders that hold CA certificates of TPM manufacturers',
      }),
    ),
    admission: Type.Object(
      {
        channel: Type.String({
          pattern: CHANNEL_NAME_PATTERN,
          default: 'default',
          description: 'a channel name: at most 32 lower-case letters, digits and inner hyphens',
        }),
      },
      closed,
    ),
    endorsementKeys: Type.Object(
      {
        revocationLists: oneOf(['optional', 'required'], 'optional'),
        expiredIssuers: oneOf(['accept', 'refuse'], 'refuse'),
      },
      closed,
    ),
    policy: Type.Object(
      {
        eventLog: oneOf(['required', 'optional'], 'required'),
        requireSecureBoot: Type.Boolean({ default: true, description: 'true or false' }),
      },
      closed,
    ),
    limits: Type.Object(
      {
        maxConnections: count(16, 65_536, 4096),
        maxBodyBytes: count(16_384, 16_777_216, 1_048_576),
        maxArtifactBytes: count(1_048_576, 68_719_476_736, 8_589_934_592),
        sliceCacheBytes: count(4_194_304, 17_179_869_184, 67_108_864),
        verificationThreads: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: MAX_VERIFICATION_THREADS,
            description: `a whole number from 0 to ${MAX_VERIFICATION_THREADS}`,
          }),
        ),
      },
      closed,
    ),
    events: Type.Object(
      {
        keptDays: Type.Integer({
          minimum: 1,
          maximum: 36_500,
          default: 400,
          description: 'a whole number of days from 1 to 36500',
        }),
        keptCount: count(1000, 100_000_000, 1_000_000),
      },
      closed,
    ),
    log: Type.Object(
      {
        level: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
        pretty: Type.Boolean({ default: false, description: 'true or false' }),
      },
      closed,
    ),
    metadataRefreshSeconds: seconds(60, 31_536_000, 604_800),
    challengeTtlSeconds: seconds(60, 600, 120),
    grantTtlSeconds: seconds(60, 3600, 600),
    drainSeconds: seconds(0, 600, 30),
    rolloutCheckSeconds: seconds(1, 600, 10),
  },
  { additionalProperties: false },
);

export type ConfigDocument = Static<typeof CONFIG_SCHEMA>;

interface SettingSchema {
  type?: string;
  description?: string;
  properties?: Record<string, SettingSchema>;
}

export interface Setting {
  /** As in the file: `firmware.port`. */
  key: string;
  /** As in the environment: `BOOTWARD_FIRMWARE_PORT`. */
  variable: string;
  /** What it must be, in words. */
  expected: string;
  type: 'text' | 'integer' | 'boolean' | 'list';
}

const TYPES: Readonly<Record<string, Setting['type']>> = {
  integer: 'integer',
  boolean: 'boolean',
  array: 'list',
};

/** Every leaf of the schema, in its order. */
export const SETTINGS: readonly Setting[] = settingsOf(CONFIG_SCHEMA as SettingSchema, []);

function settingsOf(schema: SettingSchema, path: readonly string[]): Setting[] {
  if (schema.properties !== undefined)
    return Object.entries(schema.properties).flatMap(([name, inner]) => settingsOf(inner, [...path, name]));
  const words = path.map((name) => name.replace(/[A-Z]/g, '_$&').toUpperCase());
  return [
    {
      key: path.join('.'),
      variable: ['BOOTWARD', ...words].join('_'),
      expected: schema.description ?? '',
      type: TYPES[schema.type ?? ''] ?? 'text',
    },
  ];
}
