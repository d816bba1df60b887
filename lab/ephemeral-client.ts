import { createIdentity, spkiOf } from '../src/fleet-sim/wire/ephemeral-identity.ts';
import { createHttpsClient } from '../src/fleet-sim/wire/https-client.ts';

/** A client of the agents' door with an ephemeral certificate, as stage-0 has one. */
export interface EphemeralClient {
  /** SubjectPublicKeyInfo of its key, DER. */
  spki: Uint8Array;
  /** Sends JSON; answers the JSON document that came back, whatever its status. */
  post(path: string, body: unknown): Promise<Record<string, unknown>>;
  close(): void;
}

export async function createEphemeralClient(door: { port: number; ca: string }): Promise<EphemeralClient> {
  const identity = await createIdentity();
  const client = createHttpsClient({ ...door, identity });
  return {
    spki: spkiOf(identity),
    post: async (path, body) => (await client.call(path, { method: 'POST', body })).json,
    close: client.close,
  };
}
