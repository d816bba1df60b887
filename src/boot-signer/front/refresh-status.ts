import type { JsonObject } from '../../core/strict-json.ts';
import { type Freshness, lengthOf } from '../../signing/tuf/freshness.ts';

/** What the scheduler has seen and done; of this process only. */
export interface RefreshStatus {
  readonly startedAtSeconds: number;
  /** The last time that it could look at the repository, and sign what was due. */
  readonly succeededAtSeconds?: number;
  readonly signedAtSeconds?: number;
  readonly failure?: { readonly atSeconds: number; readonly detail: string };
  /** The timestamp in the folder, when it was last looked at. */
  readonly timestamp?: {
    readonly version: number;
    readonly signedAtSeconds?: number;
    readonly expiresMs: number;
  };
}

export interface RefreshPlan {
  readonly everySeconds: number;
  readonly whenLeftSeconds: number;
}

/** Sentences: the scheduler does not do what it is for. */
export function refreshWarnings(
  status: RefreshStatus,
  plan: RefreshPlan,
  nowSeconds: number,
): readonly string[] {
  const { failure, startedAtSeconds, succeededAtSeconds = startedAtSeconds } = status;
  const silence = nowSeconds - succeededAtSeconds;
  const warnings: string[] = [];
  if (silence > 2 * plan.everySeconds)
    warnings.push(
      `no look at the repository has succeeded for ${lengthOf(silence)}${failure === undefined ? '' : `: ${failure.detail}`}`,
    );
  const left = status.timestamp && Math.floor(status.timestamp.expiresMs / 1000) - nowSeconds;
  if (left !== undefined && left < plan.whenLeftSeconds / 2)
    warnings.push(
      left <= 0
        ? 'the timestamp has expired: all nodes stop booting'
        : `the timestamp expires in ${lengthOf(left)}, and was to be signed anew long before`,
    );
  return warnings;
}

/** As `GET /v1/refresh` answers. */
export function describeRefresh(status: RefreshStatus, plan: RefreshPlan, nowSeconds: number): JsonObject {
  const { startedAtSeconds, succeededAtSeconds, signedAtSeconds, failure, timestamp } = status;
  return {
    startedAt: startedAtSeconds,
    ...(succeededAtSeconds !== undefined && { succeededAt: succeededAtSeconds }),
    ...(signedAtSeconds !== undefined && { signedAt: signedAtSeconds }),
    ...(failure !== undefined && { failure: { at: failure.atSeconds, detail: failure.detail } }),
    ...(timestamp !== undefined && { timestamp: { ...freshness(timestamp, nowSeconds) } }),
    warnings: [...refreshWarnings(status, plan, nowSeconds)],
  };
}

function freshness(
  { version, signedAtSeconds, expiresMs }: NonNullable<RefreshStatus['timestamp']>,
  nowSeconds: number,
): Freshness {
  return {
    timestampVersion: version,
    ...(signedAtSeconds !== undefined && { signedAtSeconds, ageSeconds: nowSeconds - signedAtSeconds }),
    expiresInSeconds: Math.floor(expiresMs / 1000) - nowSeconds,
  };
}
