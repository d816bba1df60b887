import { ImageBuildError } from './build-error.ts';

/** One Debian package, exactly. */
export interface LockedPackage {
  name: string;
  version: string;
  architecture: string;
  /** Of the .deb, lower-case hex. */
  sha256: string;
}

const LINE = /^([a-z0-9][a-z0-9+.-]+) ([0-9][A-Za-z0-9.+~:-]*) (amd64|all) ([0-9a-f]{64})$/;
const HEADER = `# Every Debian 12 package whose files are in an image, or that builds one:
# name, version, architecture, SHA-256 of the .deb. Written by \`node images/build.ts --update-lock\`.
`;

export function parsePackagesLock(text: string): LockedPackage[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const packages = lines.map((line) => {
    const [, name, version, architecture, sha256] = LINE.exec(line) ?? [];
    if (name === undefined || version === undefined || architecture === undefined || sha256 === undefined)
      throw new ImageBuildError(
        'lock-invalid',
        `packages.lock has a line that is none: ${line.slice(0, 80)}`,
      );
    return { name, version, architecture, sha256 };
  });
  const names = new Set(packages.map(({ name }) => name));
  if (packages.length === 0 || names.size !== packages.length)
    throw new ImageBuildError('lock-invalid', 'packages.lock is empty or names a package twice');
  return packages;
}

export function formatPackagesLock(packages: readonly LockedPackage[]): string {
  const sorted = [...packages].sort((a, b) => (a.name < b.name ? -1 : 1));
  return HEADER + sorted.map((p) => `${p.name} ${p.version} ${p.architecture} ${p.sha256}\n`).join('');
}

/** What a person wants to see when a lock is resolved again: `-` was, `+` is. */
export function diffPackagesLocks(
  before: readonly LockedPackage[],
  after: readonly LockedPackage[],
): string[] {
  const line = ({ name, version, sha256 }: LockedPackage) => `${name} ${version} ${sha256.slice(0, 16)}…`;
  const [was, is] = [before.map(line), after.map(line)];
  return [
    ...was.filter((entry) => !is.includes(entry)).map((entry) => `- ${entry}`),
    ...is.filter((entry) => !was.includes(entry)).map((entry) => `+ ${entry}`),
  ].sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1));
}
