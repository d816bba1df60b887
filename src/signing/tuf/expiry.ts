import { STAGE0_ROLE } from '../names.ts';
import type { VerifiedRepository } from './verify-repository.ts';

const DAY_MS = 86_400_000;
/** People have to meet to sign these. */
const OFFLINE_ALARM_DAYS = 30;
/** These are signed again by a service, or by `boot-sign refresh` in a timer. */
const ONLINE_ALARM_DAYS = 7;
const ONLINE_ROLES: ReadonlySet<string> = new Set(['snapshot', 'timestamp']);

/** A sentence for each role that has expired, or will before somebody may have noticed. */
export function expiryWarnings({ roles }: VerifiedRepository, nowMs: number): readonly string[] {
  return [...roles].flatMap(([role, { expiresMs }]) => {
    const online = ONLINE_ROLES.has(role);
    const days = Math.floor((expiresMs - nowMs) / DAY_MS);
    if (days >= (online ? ONLINE_ALARM_DAYS : OFFLINE_ALARM_DAYS)) return [];
    const when = days < 0 ? 'has expired' : `expires in ${days} days`;
    const remedy = online ? 'boot-sign refresh' : 'boot-sign refresh --all';
    return [`${role} ${when}: run "${remedy}" and publish. ${consequenceOf(role)}`];
  });
}

/** docs/adr/0015: which boots go on, and which stop. */
function consequenceOf(role: string): string {
  if (role === STAGE0_ROLE) return 'Then nothing new can be published; boots go on.';
  return role.startsWith('channel-')
    ? 'Then its nodes stop booting, and nothing new can be published.'
    : 'Then all nodes stop booting, and nothing new can be published.';
}
