import { isJsonObject, type JsonValue } from '../core/strict-json.ts';
import { isScheme, PublicKeyError, publicKeyOf, type TufKey } from './public-key.ts';

/**
 * A key as TUF writes it (specification 1.0, section 4.2), spelled as `tufKeyOf` would. Other members, which
 * TUF permits, stay behind: an id over all of them is the caller's to check.
 *
 * @throws {PublicKeyError} also for a scheme that we don't know
 */
export function readTufKey(value: JsonValue | undefined): TufKey {
  if (!isJsonObject(value)) throw new PublicKeyError('a key is an object');
  const { keytype, scheme, keyval } = value;
  if (typeof keytype !== 'string') throw new PublicKeyError('"keytype" of a key is not a string');
  if (!isScheme(scheme))
    throw new PublicKeyError(`"scheme" ${JSON.stringify(scheme)?.slice(0, 40)} is not known`);
  if (!isJsonObject(keyval)) throw new PublicKeyError('"keyval" of a key is not an object');
  if (typeof keyval.public !== 'string') throw new PublicKeyError('a key has no public half');
  const key: TufKey = { keytype, scheme, keyval: { public: keyval.public } };
  publicKeyOf(key);
  return key;
}
