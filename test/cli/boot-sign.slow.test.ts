import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openRepository } from '../../src/cli/boot-sign/open-repository.ts';
import { EXIT } from '../../src/cli/boot-sign/outcome.ts';
import { sha256, toHex } from '../../src/core/bytes.ts';
import { parseStrictYaml } from '../../src/core/strict-yaml.ts';
import { keyIdOf } from '../../src/signing/public-key.ts';
import { storeArtifact } from '../../src/signing/repository/artifact-folder.ts';
import { createFolderSigner } from '../../src/signing/repository/key-folder.ts';
import { saveChange } from '../../src/signing/repository/metadata-folder.ts';
import { finishProposal } from '../../src/signing/tuf/finish-proposal.ts';
import { authoritiesOf, signProposal } from '../../src/signing/tuf/proposal.ts';
import { proposeStage0 } from '../../src/signing/tuf/propose.ts';
import { NOW_MS, PASSPHRASE, SigningDesk } from './boot-sign-fixture.ts';

const DAY_MS = 86_400_000;

let desk: SigningDesk;
let pristine: string;

beforeAll(async () => {
  desk = new SigningDesk();
  pristine = desk.path('pristine');
  expect(await desk.init()).toMatchObject({ status: 0, stderr: '' });
  cpSync(desk.repository, pristine, { recursive: true });
});
afterAll(() => desk.close());

beforeEach(() => {
  desk.nowMs = NOW_MS;
  rmSync(desk.repository, { recursive: true });
  cpSync(pristine, desk.repository, { recursive: true });
});

const at = (...names: string[]): string => join(desk.repository, ...names);
const artifactNames = (): string[] => readdirSync(at('artifacts'));
const metadata = (name: string) => JSON.parse(readFileSync(at('metadata', name), 'utf8'));

describe('init', () => {
  it('makes one key a role and one for floors, each for its owner only', () => {
    const roles = ['channel-demo', 'floor', 'root', 'snapshot', 'stage0', 'targets', 'timestamp'];
    expect(readdirSync(at('keys')).sort()).toEqual(
      [...roles.map((role) => `${role}.json`), 'secure-boot'].sort(),
    );
    for (const role of roles) expect(statSync(at('keys', `${role}.json`)).mode & 0o777).toBe(0o600);
  });

  it('makes Secure Boot keys with their certificates, encrypted', () => {
    for (const name of ['PK', 'KEK', 'db']) {
      const certificate = new X509Certificate(readFileSync(at('keys', 'secure-boot', `${name}.crt`)));
      expect(certificate.raw).toEqual(readFileSync(at('keys', 'secure-boot', `${name}.der`)));
      expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 });
      expect(certificate.verify(certificate.publicKey)).toBe(true);
      const key = at('keys', 'secure-boot', `${name}.key`);
      expect(readFileSync(key, 'utf8')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
      expect(statSync(key).mode & 0o777).toBe(0o600);
    }
  });

  it('names the grant key in the root', () => {
    const grantKeys = Object.entries(metadata('1.root.json').signed['x-bootward-grant-keys']);
    expect(grantKeys).toHaveLength(1);
    for (const [keyId, key] of grantKeys) expect(keyIdOf(key as Parameters<typeof keyIdOf>[0])).toBe(keyId);
  });

  it('never touches a folder that holds keys', async () => {
    const before = readFileSync(at('keys', 'root.json'));
    expect(await desk.init()).toMatchObject({
      status: 73,
      stderr: expect.stringContaining('(repository-exists)'),
    });
    rmSync(at('repository.json'));
    expect(await desk.init()).toMatchObject({ status: 73 });
    expect(readFileSync(at('keys', 'root.json'))).toEqual(before);
  });

  it.each(['', '{}', '[]', '{"keytype":"ed25519"}', '{"00":{"keytype":"rsa"}}'])(
    'refuses the grant key file %j',
    async (text) => {
      desk.write('no-key', text);
      const args = ['--grant-key', desk.path('no-key'), '--passphrase-file', desk.path('passphrase')];
      const run = await desk.run('init', desk.path('other'), ...args);
      expect([64, 65]).toContain(run.status);
      expect(existsSync(desk.path('other'))).toBe(false);
    },
  );

  it('refuses a grant key file that holds a private key', async () => {
    desk.write('private.pem', '-----BEGIN PRIVATE KEY-----\n');
    const run = await desk.run('init', desk.path('other'), '--grant-key', desk.path('private.pem'));
    expect(run).toMatchObject({ status: 64 });
    expect(existsSync(desk.path('other'))).toBe(false);
  });

  it('takes the grant keys as the boot server answers them', async () => {
    const keys = metadata('1.root.json').signed['x-bootward-grant-keys'];
    desk.write('grant.json', JSON.stringify(keys));
    const args = ['--grant-key', desk.path('grant.json'), '--key-cost', '12', '-o', 'json'];
    const run = await desk.run(
      'init',
      desk.path('from-json'),
      '--passphrase-file',
      desk.path('passphrase'),
      ...args,
    );
    expect(JSON.parse(run.stdout).grantKeys).toEqual(Object.keys(keys));
  });
});

describe('release', () => {
  it('lists the manifest, stores what it names, and verifies', async () => {
    const run = await desk.release(1, '-o', 'json');
    expect(run).toMatchObject({ status: 0, stderr: '' });
    const listing = JSON.parse(run.stdout);
    expect(listing).toMatchObject({
      target: 'channels/demo/1.json',
      name: 'demo release 1',
      handover: 'kexec',
    });
    const kernel = readFileSync(desk.path('kernel'));
    expect(artifactNames()).toContain(toHex(sha256(kernel)));
    expect(toHex(sha256(readFileSync(at('artifacts', listing.sha256))))).toBe(listing.sha256);
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
  });

  it('carries a bill of materials and provenance by hash', async () => {
    desk.write('sbom', JSON.stringify({ spdxVersion: 'SPDX-2.3' }));
    desk.write('slsa', JSON.stringify({ _type: 'https://in-toto.io/Statement/v1' }));
    const attach = ['--attach', `sbom=${desk.path('sbom')}`, '--attach', `provenance=${desk.path('slsa')}`];
    const run = await desk.release(1, ...attach, '-o', 'json');
    const { attachments } = JSON.parse(run.stdout);
    for (const [name, file] of [
      ['sbom', 'sbom'],
      ['provenance', 'slsa'],
    ] as const)
      expect(attachments[name].sha256).toBe(toHex(sha256(readFileSync(desk.path(file)))));
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
    rmSync(at('artifacts', attachments.sbom.sha256));
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 65 });
  });

  it.each([
    ['sbom', '{"not":"an SBOM"}'],
    ['sbom', 'no JSON'],
    ['provenance', '{"spdxVersion":"SPDX-2.3"}'],
  ])('takes nothing else for a %s', async (name, text) => {
    desk.write('attached', text);
    const run = await desk.release(1, '--attach', `${name}=${desk.path('attached')}`);
    expect(run).toMatchObject({ status: 64 });
  });

  it('never lists a version twice', async () => {
    await desk.release(1);
    expect(await desk.release(1, '--cmdline', 'other')).toMatchObject({
      status: 65,
      stderr: expect.stringContaining('listed already'),
    });
  });

  it.each([
    ['--channel', 'Demo'],
    ['--version', '0'],
    ['--version', '1.5'],
    ['--version', '9007199254740993'],
    ['--architecture', 'sparc'],
    ['--name', 'Zo\u00eb'],
    ['--handover', 'reboot'],
  ])('refuses %s %s as usage', async (option, value) => {
    expect(await desk.release(1, option, value)).toMatchObject({ status: 64 });
  });

  it('refuses a command line that is not ASCII, and writes nothing', async () => {
    expect(await desk.release(1, '--cmdline', 'caf\u00e9')).toMatchObject({ status: 65 });
    expect(artifactNames()).toEqual([]);
  });

  it('needs a channel with a key, and files that are there', async () => {
    expect(await desk.release(1, '--channel', 'other')).toMatchObject({ status: 65 });
    expect(await desk.release(1, '--kernel', desk.path('missing'))).toMatchObject({ status: 66 });
  });

  it('signs the kernel the same way each time', async () => {
    const digest = async (version: number) => {
      const run = await desk.release(version, '--sign-kernel', '--time', '1700000000', '-o', 'json');
      expect(run.stderr).toBe('');
      return JSON.parse(run.stdout).kernel.sha256;
    };
    const first = await digest(1);
    expect(await digest(2)).toBe(first);
    expect(first).not.toBe(toHex(sha256(readFileSync(desk.path('kernel')))));
    expect(artifactNames().filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describe('stage0', () => {
  it('is listed with what booting it measures', async () => {
    const dryRun = JSON.parse(
      (await desk.stage0(7, '--time', '1700000000', '--dry-run', '-o', 'json')).stdout,
    );
    expect(artifactNames()).toEqual([]);
    const run = await desk.stage0(7, '--time', '1700000000', '-o', 'json', '--save', desk.path('stage0.efi'));
    const listing = JSON.parse(run.stdout);
    const { authenticodeSha256, pcr11, target } = dryRun;
    expect(listing).toMatchObject({ build: 7, target, authenticodeSha256, pcr11 });
    expect(toHex(sha256(readFileSync(desk.path('stage0.efi'))))).toBe(listing.sha256);
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
  });

  it('carries server, build, time and root as the agent reads them', async () => {
    await desk.stage0(7, '--time', '1700000000', '--on-failure', 'halt', '--save', desk.path('stage0.efi'));
    const image = readFileSync(desk.path('stage0.efi'));
    expect(
      image.includes(
        'server_url=https://10.0.2.2:8444\nstage0_build=7\nbuilt_at=1700000000\non_failure=halt\n',
      ),
    ).toBe(true);
    expect(image.includes(readFileSync(at('metadata', '1.root.json')))).toBe(true);
    expect(image.includes(readFileSync(desk.path('ca.pem')))).toBe(true);
  });

  it('arms a watchdog when it is told to', async () => {
    await desk.stage0(7, '--watchdog', '90', '--save', desk.path('stage0.efi'));
    expect(readFileSync(desk.path('stage0.efi')).includes('\nwatchdog_seconds=90\n')).toBe(true);
  });

  it.each(['0', '19', '601', 'soon'])('refuses a watchdog of %s seconds', async (seconds) => {
    expect(await desk.stage0(7, '--watchdog', seconds)).toMatchObject({ status: 64 });
    expect(artifactNames()).toEqual([]);
  });

  it('never takes a private key that lies beside the certificate', async () => {
    const ca = readFileSync(desk.path('ca.pem'), 'utf8');
    const secret = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n';
    desk.write('ca-and-key.pem', secret + ca);
    const args = ['--server-ca', desk.path('ca-and-key.pem'), '--save', desk.path('stage0.efi')];
    expect(await desk.stage0(7, ...args)).toMatchObject({ status: 0 });
    const image = readFileSync(desk.path('stage0.efi'));
    expect(image.includes(ca)).toBe(true);
    expect(image.includes('PRIVATE KEY')).toBe(false);
  });

  it.each(['', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
    'refuses the CA file %j',
    async (text) => {
      desk.write('bad-ca.pem', text);
      expect(await desk.stage0(7, '--server-ca', desk.path('bad-ca.pem'))).toMatchObject({ status: 64 });
    },
  );

  it('that is only signed is listed nowhere', async () => {
    const run = await desk.stage0(7, '--sign-only', '--save', desk.path('unlisted.efi'));
    expect(run).toMatchObject({ status: 0 });
    expect(artifactNames()).toEqual([]);
    expect(JSON.parse((await desk.run('verify', desk.repository, '-o', 'json')).stdout).stage0Builds).toEqual(
      [],
    );
    expect(await desk.stage0(7, '--sign-only')).toMatchObject({ status: 64 });
  });

  it.each(['http://10.0.2.2', 'https://10.0.2.2/path', 'https://user@host', 'https://h;reboot', 'https://'])(
    'refuses the server address %s',
    async (url) => expect(await desk.stage0(7, '--server-url', url)).toMatchObject({ status: 64 }),
  );
});

describe('refresh', () => {
  it('raises snapshot and timestamp', async () => {
    const run = await desk.sign('refresh', '-o', 'json');
    expect(JSON.parse(run.stdout).written).toEqual(['2.snapshot.json', 'timestamp.json']);
  });

  it('S6 brings back what expired, which verify refuses', async () => {
    desk.nowMs += 31 * DAY_MS;
    expect(await desk.run('verify', desk.repository)).toMatchObject({
      status: 65,
      stderr: expect.stringContaining('tuf-expired'),
    });
    expect(await desk.sign('refresh')).toMatchObject({ status: 0 });
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
  });

  it('cannot bring back a root that expired without --all', async () => {
    desk.nowMs += 366 * DAY_MS;
    expect(await desk.sign('refresh')).toMatchObject({ status: 65 });
    expect(await desk.sign('refresh', '--all')).toMatchObject({ status: 0 });
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
  });

  it('R11 warns that the last signed time lies ahead, and stays at it', async () => {
    desk.nowMs += 2 * DAY_MS;
    expect((await desk.sign('refresh')).stderr).toBe('');
    const ahead = metadata('timestamp.json').signed['x-bootward-signed-at'];
    desk.nowMs -= 2 * DAY_MS;
    const run = await desk.sign('refresh');
    expect(run).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(
        /^warning: .* signed at 2026-11-23T12:00:00\.000Z, the clock here says 2026-11-21T12:00:00\.000Z: .*correct the clock/,
      ),
    });
    expect(metadata('timestamp.json').signed['x-bootward-signed-at']).toBe(ahead);
  });

  it('signs nothing that somebody altered', async () => {
    const document = metadata('1.channel-demo.json');
    document.signed.targets['channels/demo/1.json'] = {};
    writeFileSync(at('metadata', '1.channel-demo.json'), JSON.stringify(document));
    expect(await desk.sign('refresh')).toMatchObject({ status: 65 });
    expect(metadata('timestamp.json').signed.version).toBe(1);
  });
});

describe('verify', () => {
  it('S15 refuses an artifact with a byte more', async () => {
    await desk.release(1);
    for (const name of artifactNames()) {
      const before = readFileSync(at('artifacts', name));
      appendFileSync(at('artifacts', name), 'x');
      expect(await desk.run('verify', desk.repository), name).toMatchObject({
        status: 65,
        stderr: expect.stringContaining('artifact-damaged'),
      });
      writeFileSync(at('artifacts', name), before);
    }
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
  });

  it('S16 refuses kernel and initramfs in each other’s place', async () => {
    await desk.release(1);
    const kernel = readFileSync(desk.path('kernel'));
    const initramfs = readFileSync(desk.path('initramfs'));
    writeFileSync(at('artifacts', toHex(sha256(kernel))), initramfs);
    writeFileSync(at('artifacts', toHex(sha256(initramfs))), kernel);
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 65 });
  });

  it('starts from a root that the caller trusts', async () => {
    const other = desk.path('from-json/metadata/1.root.json');
    expect(await desk.run('verify', desk.repository, '--root', other)).toMatchObject({ status: 65 });
    const own = at('metadata', '1.root.json');
    expect(await desk.run('verify', desk.repository, '--root', own)).toMatchObject({ status: 0 });
  });
});

describe('a stage-0 listing', () => {
  it.each(['authenticodeSha256', 'pcr11'])(
    'that says another %s than its image is refused',
    async (member) => {
      const signed = desk.path('signed.efi');
      const { stdout } = await desk.stage0(7, '--sign-only', '--save', signed, '-o', 'json');
      const build = { ...JSON.parse(stdout), [member]: '00'.repeat(32) };
      const opened = await openRepository(desk.repository, { nowMs: NOW_MS, stderr: process.stderr });
      const { current, expiry } = opened;
      const signer = createFolderSigner(opened.layout, async () => PASSPHRASE);
      await storeArtifact(opened.layout, readFileSync(signed));
      const proposal = proposeStage0(current, build, expiry.offlineMs);
      const complete = await signProposal(proposal, authoritiesOf(proposal, current), signer);
      const change = await finishProposal({
        current,
        proposal: complete,
        signer,
        onlineExpiresMs: expiry.onlineMs,
        nowMs: NOW_MS,
      });
      await saveChange(opened.layout, { stored: opened.stored, change, nowMs: NOW_MS });
      expect(await desk.run('verify', desk.repository)).toMatchObject({
        status: 65,
        stderr: expect.stringContaining('stage0-not-as-listed'),
      });
    },
  );
});

describe('the passphrase', () => {
  it('that is wrong gives 77, its own code, and is not repeated', async () => {
    const args = ['refresh', desk.repository, '--passphrase-file', desk.path('wrong'), '-o', 'json'];
    const run = await desk.run(...args);
    expect(run.status).toBe(77);
    expect(JSON.parse(run.stderr).error.code).toBe('passphrase-wrong');
    expect(run.stdout + run.stderr).not.toContain('another passphrase');
  });

  it('can come through an open descriptor', async () => {
    const fd = openSync(desk.path('passphrase'), 'r');
    expect(await desk.run('refresh', desk.repository, '--passphrase-fd', String(fd))).toMatchObject({
      status: 0,
    });
  });

  it('comes from one place, and never from the environment', async () => {
    const both = ['--passphrase-file', desk.path('passphrase'), '--passphrase-fd', '0'];
    expect(await desk.run('refresh', desk.repository, ...both)).toMatchObject({ status: 64 });
    expect(await desk.run('refresh', desk.repository)).toMatchObject({ status: 64 });
  });

  it.each(['', '\n', 'short\n'])('of new keys is refused when it is %j', async (text) => {
    desk.write('weak', text);
    const args = ['--grant-key', desk.path('grant.pem'), '--passphrase-file', desk.path('weak')];
    expect(await desk.run('init', desk.path('weak-repository'), ...args)).toMatchObject({ status: 77 });
    expect(existsSync(desk.path('weak-repository'))).toBe(false);
  });

  it('and private keys are in no output', async () => {
    const runs = [await desk.release(1), await desk.sign('refresh'), await desk.run('keys', desk.repository)];
    for (const { stdout, stderr } of runs) {
      expect(stdout + stderr).not.toContain(PASSPHRASE);
      expect(stdout + stderr).not.toContain('PRIVATE');
    }
  });
});

describe('two at once', () => {
  it('one changes the folder, the other says that it is busy', async () => {
    const statuses = (await Promise.all([desk.sign('refresh'), desk.sign('refresh')])).map(
      ({ status }) => status,
    );
    expect(statuses.sort()).toEqual([0, 75]);
    expect(metadata('timestamp.json').signed.version).toBe(2);
    expect(await desk.sign('refresh')).toMatchObject({ status: 0 });
  });
});

describe('the command line', () => {
  it('lists keys without a passphrase', async () => {
    const { keys, secureBoot } = JSON.parse((await desk.run('keys', desk.repository, '-o', 'json')).stdout);
    expect(keys).toHaveLength(7);
    expect(secureBoot.map(({ name }: { name: string }) => name)).toEqual(['PK', 'KEK', 'db']);
    const { signed } = metadata('1.root.json');
    const root = keys.find(({ role }: { role: string }) => role === 'root');
    expect(signed.roles.root.keyids).toEqual([root.keyId]);
  });

  it.each([
    [[]],
    [['unknown']],
    [['release']],
    [['verify', '.', '--unknown']],
    [['verify', '.', '-o', 'xml']],
  ])('answers %j with 64', async (args) =>
    expect(await desk.run(...args)).toMatchObject({ status: 64, stdout: '' }),
  );

  it('completes its commands and options in bash', async () => {
    const { stdout } = await desk.run('completion', 'bash');
    const script = `${stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _boot_sign; echo "\${COMPREPLY[@]}"`;
    const complete = (...words: string[]) =>
      execFileSync('bash', ['-c', script, 'bash', 'boot-sign', ...words], { encoding: 'utf8' }).trim();
    expect(complete('wi')).toBe('withdraw');
    expect(complete('root', 'rem')).toBe('remove-key');
    expect(complete('release', '--at')).toBe('--attach');
  });

  it('prints YAML for those who want it', async () => {
    const { stdout } = await desk.run('root', 'show', desk.repository, '-o', 'yaml');
    expect(stdout).toMatch(/^version: 1\nexpires: /);
    const json = JSON.parse((await desk.run('root', 'show', desk.repository, '-o', 'json')).stdout);
    expect(parseStrictYaml(stdout, { maxBytes: 65_536 })).toEqual(json);
  });

  it('shows with --help how each command is used', async () => {
    for (const args of [['release'], ['root', 'rotate'], ['sign'], ['verify']])
      expect((await desk.run(...args, '--help')).stdout).toContain(`$ boot-sign ${args.join(' ')}`);
  });

  it.each([
    ['metadata/timestamp.json', 'TUF metadata: timestamp'],
    ['metadata/1.root.json', 'TUF metadata: root'],
    ['keys/root.json', 'private key file'],
    ['../grant.pem', 'public key'],
    ['../kernel', 'EFI image'],
  ])('inspects %s', async (file, kind) => {
    const { status, stdout } = await desk.run('inspect', join(desk.repository, file), '-o', 'json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).kind).toBe(kind);
  });

  it('inspects what a release is made of, and refuses what it does not know', async () => {
    const { sha256: digest } = JSON.parse((await desk.release(1, '-o', 'json')).stdout);
    const manifest = JSON.parse((await desk.run('inspect', at('artifacts', digest), '-o', 'json')).stdout);
    expect(manifest).toMatchObject({ kind: 'release manifest', channel: 'demo', version: 1, digest });
    for (const file of ['initramfs', 'passphrase'])
      expect(await desk.run('inspect', desk.path(file))).toMatchObject({ status: 64, stdout: '' });
  });

  it('answers --help with 0', async () => {
    for (const args of [['--help'], ['release', '--help']])
      expect(await desk.run(...args)).toMatchObject({ status: 0, stderr: '' });
  });

  it('has its exit codes in docs/releases.md, all of them and no others', () => {
    const documented = readFileSync('docs/releases.md', 'utf8').match(/^\| (\d+) +\|/gm) ?? [];
    const codes = documented.map((row) => Number(/\d+/.exec(row)?.[0]));
    expect(codes).toEqual(Object.values(EXIT).sort((a, b) => a - b));
  });

  it.each(['{}', '{"format":"bootward-repository-v1","offlineDays":0,"onlineDays":1}', 'x'])(
    'says that the settings %j are not usable',
    async (text) => {
      writeFileSync(at('repository.json'), text);
      expect(await desk.sign('refresh')).toMatchObject({
        status: 65,
        stderr: expect.stringContaining('repository-settings-invalid'),
      });
    },
  );

  it('says that a folder is no repository', async () => {
    for (const command of ['verify', 'keys'])
      expect(await desk.run(command, desk.path('nowhere'))).toMatchObject({ status: 66 });
  });
});
