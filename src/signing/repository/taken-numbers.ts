import { parseDelegated } from '../tuf/targets.ts';
import type { StoredMetadata } from './metadata-folder.ts';
import { RepositoryError } from './repository-error.ts';

/**
 * A version or build number means one thing for ever, also after it was withdrawn: the folder keeps every
 * version of a role's metadata, and none of them may have listed the target.
 *
 * @throws {RepositoryError} `number-taken`
 */
export function requireNewNumber({ files }: StoredMetadata, role: string, target: string): void {
  for (const [name, bytes] of files) {
    if (!name.endsWith(`.${role}.json`)) continue;
    const { targets, version } = parseDelegated(role, bytes);
    if (Object.hasOwn(targets, target))
      throw new RepositoryError(
        'number-taken',
        `${target} was listed in ${role} version ${version}: take the next number`,
      );
  }
}
