import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ImageBuildError } from './build-error.ts';
import { diffPackagesLocks, type LockedPackage } from './packages-lock.ts';
import { type Offer, openPrivateApt, type PrivateApt } from './private-apt.ts';

export interface FetchedPackages {
  /** As locked; or, when a locked version has gone from the mirrors, as resolved again. */
  packages: LockedPackage[];
  /** What changed against the lock; empty as a rule. */
  differences: string[];
}

/** Where a package is, once fetched. Its content has been checked against the hash in its name. */
export function packageFile(folder: string, { name, sha256 }: LockedPackage): string {
  return join(folder, 'debs', `${name}_${sha256.slice(0, 16)}.deb`);
}

/** Brings every package into the cache. Asks no mirror when all of them are there already. */
export function fetchPackages(folder: string, locked: readonly LockedPackage[]): FetchedPackages {
  mkdirSync(join(folder, 'debs'), { recursive: true });
  if (missing(folder, locked).length === 0) return { packages: [...locked], differences: [] };
  const apt = openPrivateApt(join(folder, 'apt'));
  const offers = apt.offered(locked.map(({ name }) => name).filter((name) => !isKernel(name)));
  const kernels = apt.offered(['linux-image-amd64', ...locked.map(({ name }) => name).filter(isKernel)]);
  const isOffered = ({ name, sha256 }: LockedPackage) =>
    [...offers, ...kernels].some((offer) => offer.name === name && offer.sha256 === sha256);
  const gone = missing(folder, locked).filter((wanted) => !isOffered(wanted));
  const packages = gone.length === 0 ? [...locked] : resolveAgain(apt, locked);
  download(apt, folder, missing(folder, packages));
  return { packages, differences: diffPackagesLocks(locked, packages) };
}

/** Resolves every package to what the mirrors offer now: one set, never a mixture of two moments. */
export function resolveAgain(apt: PrivateApt, locked: readonly LockedPackage[]): LockedPackage[] {
  const names = locked.map(({ name }) => (isKernel(name) ? currentKernel(apt) : name));
  const offers = apt.offered(names);
  return names.map((name) => newestOf(offers, name));
}

/** Debian's kernel has its ABI in its name; the metapackage says which one is current. */
function currentKernel(apt: PrivateApt): string {
  const [meta] = apt.offered(['linux-image-amd64']);
  const name = /linux-image-[0-9][a-z0-9.-]*-amd64/.exec(meta?.depends ?? '')?.[0];
  if (name === undefined)
    throw new ImageBuildError('recipe-broken', 'linux-image-amd64 depends on no kernel');
  return name;
}

function newestOf(offers: readonly Offer[], wanted: string): LockedPackage {
  const newest = offers.find(({ name }) => name === wanted);
  if (newest === undefined)
    throw new ImageBuildError('recipe-broken', `the mirrors offer no package ${wanted} any more`);
  const { name, version, architecture, sha256 } = newest;
  return { name, version, architecture, sha256 };
}

const isKernel = (name: string): boolean => /^linux-image-[0-9]/.test(name);

function missing(folder: string, packages: readonly LockedPackage[]): LockedPackage[] {
  return packages.filter((wanted) => {
    const path = packageFile(folder, wanted);
    if (!existsSync(path)) return true;
    if (sha256Of(path) === wanted.sha256) return false;
    rmSync(path);
    return true;
  });
}

/** A file enters the cache by rename, after its hash was checked. */
function download(apt: PrivateApt, folder: string, wanted: readonly LockedPackage[]): void {
  if (wanted.length === 0) return;
  const arrivals = mkdtempSync(join(folder, 'arriving-'));
  try {
    apt.download(wanted, arrivals);
    const byHash = new Map(readdirSync(arrivals).map((name) => [sha256Of(join(arrivals, name)), name]));
    for (const entry of wanted) {
      const name = byHash.get(entry.sha256);
      if (name === undefined)
        throw new ImageBuildError(
          'package-altered',
          `${entry.name} arrived with another SHA-256 than the lock's`,
        );
      renameSync(join(arrivals, name), packageFile(folder, entry));
    }
  } finally {
    rmSync(arrivals, { recursive: true, force: true });
  }
}

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
