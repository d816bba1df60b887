import { channelRole } from '../names.ts';
import { keyIdOf, type TufKey } from '../public-key.ts';
import type { RoleKeyring } from './compose.ts';
import { TufError } from './errors.ts';
import { keyringFor } from './keyrings.ts';
import type { Trust } from './propose.ts';

// Edits of who may sign what. Whether the result makes sense is judged when it is proposed.

export function addKey(trust: Trust, role: string, key: TufKey): Trust {
  return withRing(trust, role, (ring) => {
    if (ring.keys.some((other) => keyIdOf(other) === keyIdOf(key)))
      refuse(`${role} has key ${keyIdOf(key)} already`);
    return { ...ring, keys: [...ring.keys, key] };
  });
}

/** @param idPrefix enough of the key's id to mean one key */
export function removeKey(trust: Trust, role: string, idPrefix: string): Trust {
  return withRing(trust, role, (ring) => {
    const gone = findKey(ring.keys, idPrefix, role);
    return { ...ring, keys: ring.keys.filter((key) => key !== gone) };
  });
}

/** Every role that has the key gets the other one in its place. */
export function replaceKey(trust: Trust, idPrefix: string, key: TufKey): Trust {
  const roles = [...trust.keyrings].filter(([, { keys }]) => keys.some(isNamed(idPrefix)));
  if (roles.length === 0) return refuse(`no role has a key ${idPrefix}`);
  return roles.reduce((changed, [role]) => addKey(removeKey(changed, role, idPrefix), role, key), trust);
}

export function setThreshold(trust: Trust, role: string, threshold: number): Trust {
  return withRing(trust, role, (ring) => ({ ...ring, threshold }));
}

export function addChannel(trust: Trust, channel: string, ring: RoleKeyring): Trust {
  const role = channelRole(channel);
  if (trust.keyrings.has(role)) return refuse(`channel ${channel} is there already`);
  return { ...trust, keyrings: new Map([...trust.keyrings, [role, ring]]) };
}

export function addGrantKey(trust: Trust, key: TufKey): Trust {
  if (trust.grantKeys.some((other) => keyIdOf(other) === keyIdOf(key)))
    return refuse(`grant key ${keyIdOf(key)} is named already`);
  return { ...trust, grantKeys: [...trust.grantKeys, key] };
}

export function removeGrantKey(trust: Trust, idPrefix: string): Trust {
  const gone = findKey(trust.grantKeys, idPrefix, 'the grant keys');
  return { ...trust, grantKeys: trust.grantKeys.filter((key) => key !== gone) };
}

function withRing(trust: Trust, role: string, edit: (ring: RoleKeyring) => RoleKeyring): Trust {
  const edited = edit(keyringFor(trust.keyrings, role));
  return { ...trust, keyrings: new Map(trust.keyrings).set(role, edited) };
}

function findKey(keys: readonly TufKey[], idPrefix: string, where: string): TufKey {
  const [found, ...others] = keys.filter(isNamed(idPrefix));
  if (found === undefined) return refuse(`${where} has no key ${idPrefix}`);
  if (others.length > 0) return refuse(`${where}: ${idPrefix} is the beginning of several key ids`);
  return found;
}

const isNamed = (idPrefix: string) => (key: TufKey) => keyIdOf(key).startsWith(idPrefix);

function refuse(message: string): never {
  throw new TufError('tuf-keys-refused', message);
}
