import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImageBuildError } from './build-error.ts';
import type { LockedPackage } from './packages-lock.ts';
import { runTool } from './run-tool.ts';

/**
 * apt with lists, cache and status of its own: it needs no root and neither reads nor changes what this
 * machine has installed. The machine's own apt settings (proxies) still count.
 */
export interface PrivateApt {
  /** Everything that the mirrors offer under these names, newest first. */
  offered(names: readonly string[]): Offer[];
  /** Downloads into `folder`, under names of apt's choice. */
  download(packages: readonly LockedPackage[], folder: string): void;
}

export interface Offer extends LockedPackage {
  depends: string;
}

const SUITES = ['bookworm', 'bookworm-updates', 'bookworm-security'] as const;
const DEFAULT_MIRROR = 'http://deb.debian.org/debian';
const DEFAULT_SECURITY_MIRROR = 'http://deb.debian.org/debian-security';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Reads the mirrors' signed lists. */
export function openPrivateApt(folder: string): PrivateApt {
  const configuration = writeConfiguration(folder);
  const apt = (
    program: 'apt-get' | 'apt-cache',
    args: readonly string[],
    options: { folder?: string } = {},
  ) => runTool(program, ['-c', configuration, '-q', ...args], options);
  try {
    apt('apt-get', ['update', '--error-on=any']);
  } catch (cause) {
    throw unreachable(cause);
  }
  return {
    offered: (names) => parseStanzas(apt('apt-cache', ['show', ...names])),
    download(packages, into) {
      const wanted = packages.map(({ name, version }) => `${name}=${version}`);
      try {
        apt('apt-get', ['download', ...wanted], { folder: into });
      } catch (cause) {
        throw unreachable(cause);
      }
    },
  };
}

function unreachable(cause: unknown): ImageBuildError {
  const mirrors = 'the Debian mirrors cannot be reached (images are built from Debian 12 packages)';
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ImageBuildError('mirrors-unreachable', `${mirrors}: ${why}`, { cause });
}

function writeConfiguration(folder: string): string {
  for (const name of ['lists/partial', 'cache/archives/partial', 'etc/sources.list.d', 'etc/preferences.d'])
    mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'status'), '');
  writeFileSync(join(folder, 'etc/sources.list'), SUITES.map(sourceLine).join(''));
  const path = join(folder, 'apt.conf');
  writeFileSync(
    path,
    `Dir::State "${folder}"; Dir::State::lists "${folder}/lists"; Dir::State::status "${folder}/status";
Dir::Cache "${folder}/cache"; Dir::Etc "${folder}/etc"; Dir::Etc::sourcelist "sources.list";
Dir::Etc::sourceparts "sources.list.d"; Dir::Etc::preferencesparts "preferences.d";
APT::Architecture "amd64"; #clear APT::Architectures; APT::Architectures { "amd64"; };
APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries "3"; Acquire::http::Timeout "20";
#clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success; #clear DPkg::Post-Invoke;
`,
  );
  return path;
}

function sourceLine(suite: (typeof SUITES)[number]): string {
  const isSecurity = suite.endsWith('-security');
  const mirror = mirrorOfThisMachine(suite) ?? (isSecurity ? DEFAULT_SECURITY_MIRROR : DEFAULT_MIRROR);
  return `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`;
}

/** A mirror that this machine uses for the same suite of Debian's own archive, if it does. */
function mirrorOfThisMachine(suite: string): string | undefined {
  const format = '$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)';
  const targets = runTool('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const fields = targets.split('\n').map((line) => line.split(' '));
  return fields.find(([, codename, origin]) => codename === suite && origin === 'Debian')?.[0];
}

function parseStanzas(text: string): Offer[] {
  return text
    .split('\n\n')
    .filter((stanza) => stanza.trim() !== '')
    .map((stanza) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
      return {
        name: field('Package'),
        version: field('Version'),
        architecture: field('Architecture'),
        sha256: field('SHA256'),
        depends: field('Depends'),
      };
    });
}
