import type { Logger } from 'pino';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject } from '../../core/strict-json.ts';
import type { RoleSigner } from '../../signing/role-signer.ts';
import type { Config } from '../config.ts';
import type { KeyLink } from './key-link.ts';
import { refreshRepository } from './refresh.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * Looks after the repository at the start and then every `everyMinutes`. A failure is logged as an error and
 * tried again at the next time: `whenLeftHours` is how long people have to notice.
 *
 * @returns ends it
 */
export function startScheduler(
  refresh: NonNullable<Config['refresh']>,
  link: KeyLink,
  logger: Logger,
): () => void {
  let running = false;
  const look = async (): Promise<void> => {
    if (running) return;
    running = true;
    try {
      const written = await refreshRepository({
        repository: refresh.repository,
        whenLeftMs: refresh.whenLeftHours * HOUR_MS,
        signer: createLinkSigner(link),
        lastSigned: (role) => lastSigned(link, role),
        nowMs: Date.now(),
      });
      if (written !== undefined) logger.info(written, 'snapshot and timestamp signed anew');
    } catch (error) {
      logger.error({ detail: messageOf(error) }, 'snapshot and timestamp were not signed anew');
    } finally {
      running = false;
    }
  };
  void look();
  const timer = setInterval(look, (refresh.everyMinutes ?? 60) * MINUTE_MS);
  return () => clearInterval(timer);
}

const SCHEDULER_CLIENT = 'scheduler';

function createLinkSigner(link: KeyLink): RoleSigner {
  return {
    async sign({ role, keyIds, canonical }) {
      const text = Buffer.from(canonical).toString('latin1');
      const outcome = (await link.call({
        call: 'submit',
        type: 'metadata',
        role,
        keyIds: [...keyIds],
        text,
        client: SCHEDULER_CLIENT,
      })) as JsonObject;
      const { state, signatures } = outcome;
      if (state !== 'signed' || !Array.isArray(signatures))
        throw new Error(`${role} wants approvals: what is signed by itself cannot`);
      return signatures
        .filter(isJsonObject)
        .map(({ keyId, signature }) => ({ keyId: String(keyId), signature: String(signature) }));
    },
  };
}

async function lastSigned(link: KeyLink, role: string): Promise<number> {
  const { lastSigned: roles } = (await link.call({ call: 'keys' })) as JsonObject;
  const last = isJsonObject(roles) ? roles[role] : undefined;
  return isJsonObject(last) ? Number(last.version) : 0;
}
