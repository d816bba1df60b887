// Builds twice from one lock, in different folders, by different users where that is possible, with
// another umask, locale, time zone and home, and compares every byte of what comes out.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256, toHex } from '../src/core/bytes.ts';

const REPOSITORY = join(import.meta.dirname, '..');
const BUILD = join(import.meta.dirname, 'build.ts');
const NOBODY = 65534;

interface Surroundings {
  umask: string;
  environment: Readonly<Record<string, string>>;
  asNobody: boolean;
}

const FIRST: Surroundings = { umask: '022', environment: { TZ: 'UTC', LANG: 'C' }, asNobody: false };
const SECOND: Surroundings = {
  umask: '077',
  environment: { TZ: 'Asia/Kathmandu', LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', HOME: '/nonexistent' },
  asNobody: process.getuid?.() === 0,
};

function buildIn(folder: string, { umask, environment, asNobody }: Surroundings): Map<string, string> {
  const packages = join(REPOSITORY, 'build/cache/debs');
  mkdirSync(join(folder, 'cache'), { recursive: true });
  // Only to spare the mirrors: each package is checked against the lock again.
  if (existsSync(packages)) cpSync(packages, join(folder, 'cache/debs'), { recursive: true });
  if (asNobody) spawnSync('chown', ['-R', String(NOBODY), folder]);
  const command = `umask ${umask}; exec "$0" "$1" --out "$2"`;
  const { status } = spawnSync('sh', ['-c', command, process.execPath, BUILD, folder], {
    stdio: 'inherit',
    env: { ...process.env, ...environment },
    ...(asNobody ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  if (status !== 0) throw new Error(`the build in ${folder} failed`);
  return digestsBelow(folder);
}

function digestsBelow(folder: string): Map<string, string> {
  const files = ['stage0', 'demo-os'].flatMap((part) =>
    readdirSync(join(folder, part)).map((name) => join(part, name)),
  );
  return new Map(files.sort().map((file) => [file, toHex(sha256(readFileSync(join(folder, file))))]));
}

const folder = mkdtempSync(join(tmpdir(), 'bootward-reproducible-'));
try {
  chmodSync(folder, 0o755);
  const first = buildIn(join(folder, 'one'), FIRST);
  const second = buildIn(join(folder, 'another place'), SECOND);
  const differing = [...first].filter(([file, digest]) => second.get(file) !== digest).map(([file]) => file);
  for (const [file, digest] of first)
    console.log(`${digest}  ${file}${differing.includes(file) ? '  DIFFERS' : ''}`);
  console.log(differing.length === 0 ? 'reproducible: every byte is the same' : 'NOT reproducible');
  process.exitCode = differing.length === 0 && first.size === second.size ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
