import type { Logger } from 'pino';
import { secondsOf, systemClock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject } from '../../core/strict-json.ts';
import type { RoleSigner } from '../../signing/role-signer.ts';
import { type LastSigned, parseLastSigned } from '../../signing/tuf/last-signed.ts';
import type { Config } from '../config.ts';
import type { KeyLink } from './key-link.ts';
import { refreshRepository } from './refresh.ts';
import { describeRefresh, type RefreshPlan, type RefreshStatus, refreshWarnings } from './refresh-status.ts';

const HOUR_MS = 3_600_000;

export interface Scheduler {
  /** What it has done, and what is wrong: `GET /v1/refresh`. */
  status(): JsonObject;
  stop(): void;
}

/**
 * Looks after the repository at the start and then every `everyMinutes`. A failure is logged as an error and
 * tried again at the next time: `whenLeftHours` is how long people have to notice.
 */
export function startScheduler(
  refresh: NonNullable<Config['refresh']>,
  link: KeyLink,
  logger: Logger,
): Scheduler {
  const everySeconds = (refresh.everyMinutes ?? 60) * 60;
  const plan: RefreshPlan = { everySeconds, whenLeftSeconds: refresh.whenLeftHours * 3600 };
  let status: RefreshStatus = { startedAtSeconds: secondsOf(systemClock) };
  let running = false;
  const look = async (): Promise<void> => {
    if (running) return;
    running = true;
    status = { ...status, ...(await lookOnce(refresh, link, logger)) };
    running = false;
  };
  const timer = setInterval(() => {
    void look();
    for (const warning of refreshWarnings(status, plan, secondsOf(systemClock)))
      logger.error({ repository: refresh.repository }, warning);
  }, everySeconds * 1000);
  void look();
  return {
    status: () => describeRefresh(status, plan, secondsOf(systemClock)),
    stop: () => clearInterval(timer),
  };
}

async function lookOnce(
  { repository, whenLeftHours }: NonNullable<Config['refresh']>,
  link: KeyLink,
  logger: Logger,
): Promise<Partial<RefreshStatus>> {
  const nowMs = systemClock.nowMs();
  const atSeconds = Math.floor(nowMs / 1000);
  try {
    const { written, timestamp } = await refreshRepository({
      repository,
      whenLeftMs: whenLeftHours * HOUR_MS,
      signer: createLinkSigner(link),
      lastSigned: () => lastSigned(link),
      nowMs,
    });
    if (written !== undefined) logger.info(written, 'snapshot and timestamp signed anew');
    return { timestamp, succeededAtSeconds: atSeconds, ...(written && { signedAtSeconds: atSeconds }) };
  } catch (error) {
    const detail = messageOf(error);
    logger.error({ detail }, 'snapshot and timestamp were not signed anew');
    return { failure: { atSeconds, detail } };
  }
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

async function lastSigned(link: KeyLink): Promise<LastSigned> {
  const keys = (await link.call({ call: 'keys' })) as JsonObject;
  return parseLastSigned(keys.lastSigned);
}
