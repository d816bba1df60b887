import { generateKeyPair, type KeyObject, type X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../../core/clock.ts';
import { sweepTemporaryFiles, writeFileDurably } from '../../core/durable-file.ts';
import {
  type KeyKind,
  parsePrivateKey,
  type ServerCertificate,
  TlsError,
  verifyAuthority,
  verifyKeyPair,
  verifyServerCertificate,
} from './certificates.ts';

export interface TlsIdentity {
  /** The certificate that firmware and agents are given to trust. */
  authority: { path: string; pem: string };
  firmware: ServerCertificate;
  agents: ServerCertificate;
}

export interface TlsFolderOptions {
  folder: string;
  /** What both certificates must name: IP addresses and DNS names. */
  publicHosts: readonly string[];
  clock: Clock;
}

/**
 * Loads what `folder` holds and makes what is missing: `ca`, `firmware` and `agents`, each a `.key` and a
 * `.pem`. Existing files are never replaced.
 *
 * One CA signs both doors, with RSA-3072: firmware can verify RSA and nothing else, and so a node has one
 * certificate to trust, in its firmware and in stage-0. The agents' leaf is ECDSA P-256 under the same CA,
 * which costs the server a third of the CPU per handshake; its clients all verify RSA as well.
 *
 * The key is written before its certificate, so a crash leaves at most a key without one: then the
 * certificate is issued for that key. A certificate without its key is refused, except the CA's: taking
 * `ca.key` offline once both doors have theirs is what a careful operator does.
 */
export async function loadTlsFolder({ folder, publicHosts, clock }: TlsFolderOptions): Promise<TlsIdentity> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await sweepTemporaryFiles(folder);
  const authority = await loadAuthority(folder, clock);
  const load = (door: 'firmware' | 'agents', kind: KeyKind): Promise<ServerCertificate> =>
    loadServerCertificate({ folder, door, kind, publicHosts, clock, authority });
  return {
    authority: { path: authority.certificatePath, pem: authority.pem },
    firmware: await load('firmware', 'rsa-3072'),
    agents: await load('agents', 'p-256'),
  };
}

/** Loaded on the one start that issues something: the library would stay in memory for ever after. */
const loadIssuing = () => import('./issuing.ts');

interface Authority {
  certificatePath: string;
  pem: string;
  certificate: X509Certificate;
  /** Undefined when the operator keeps it elsewhere. */
  key: KeyObject | undefined;
}

async function loadAuthority(folder: string, clock: Clock): Promise<Authority> {
  const [keyPath, certificatePath] = pathsOf(folder, 'ca');
  let stored = { key: await readIfThere(keyPath), certificate: await readIfThere(certificatePath) };
  if (stored.certificate === undefined) {
    await refuseLeavesWithoutAuthority(folder, certificatePath);
    stored = await makeAuthority({ keyPath, certificatePath, key: stored.key });
  }
  const pem = stored.certificate ?? '';
  const certificate = verifyAuthority({ certificate: pem, certificatePath }, clock.nowMs());
  const key = stored.key === undefined ? undefined : parsePrivateKey(stored.key, keyPath);
  if (key !== undefined) verifyKeyPair(certificate, key, { keyPath, certificatePath });
  return { certificatePath, pem, certificate, key };
}

async function makeAuthority({
  keyPath,
  certificatePath,
  key,
}: {
  keyPath: string;
  certificatePath: string;
  key: string | undefined;
}): Promise<{ key: string; certificate: string }> {
  const keyPem = key ?? (await makeKey('rsa-3072', keyPath));
  const { issueAuthority } = await loadIssuing();
  const certificate = await issueAuthority({
    key: parsePrivateKey(keyPem, keyPath),
    commonName: 'Bootward boot CA',
  });
  await writeFileDurably({ path: certificatePath, contents: certificate, mode: 0o644, replace: false });
  return { key: keyPem, certificate };
}

/** A new CA beside old leaves would be a server that no enrolled node can reach. */
async function refuseLeavesWithoutAuthority(folder: string, authorityPath: string): Promise<void> {
  for (const door of ['firmware', 'agents']) {
    const [, path] = pathsOf(folder, door);
    if ((await readIfThere(path)) !== undefined)
      throw new TlsError(
        'tls-incomplete',
        `${path} is there but ${authorityPath} is not: restore the CA certificate that issued it`,
      );
  }
}

interface DoorRequest extends TlsFolderOptions {
  door: 'firmware' | 'agents';
  kind: KeyKind;
  authority: Authority;
}

async function loadServerCertificate(request: DoorRequest): Promise<ServerCertificate> {
  const [keyPath, certificatePath] = pathsOf(request.folder, request.door);
  const foundKey = await readIfThere(keyPath);
  const foundCertificate = await readIfThere(certificatePath);
  if (foundKey === undefined && foundCertificate !== undefined)
    throw new TlsError(
      'tls-incomplete',
      `${certificatePath} is there but its key ${keyPath} is not: restore it, or move the certificate away`,
    );
  const key = foundKey ?? (await makeKey(request.kind, keyPath));
  const certificate = foundCertificate ?? (await issueFor(request, key, { keyPath, certificatePath }));
  return verifyServerCertificate(
    { key, certificate, keyPath, certificatePath },
    {
      authority: request.authority.certificate,
      kind: request.kind,
      hosts: request.publicHosts,
      nowMs: request.clock.nowMs(),
    },
  );
}

async function issueFor(
  { authority, door, publicHosts }: DoorRequest,
  key: string,
  { keyPath, certificatePath }: { keyPath: string; certificatePath: string },
): Promise<string> {
  if (authority.key === undefined)
    throw new TlsError(
      'tls-incomplete',
      `${certificatePath} has to be issued and ca.key is not there: bring it back for one start`,
    );
  const { issueServerCertificate } = await loadIssuing();
  const certificate = await issueServerCertificate({
    authority: { key: authority.key, certificate: authority.pem },
    key: parsePrivateKey(key, keyPath),
    commonName: `Bootward ${door}`,
    hosts: publicHosts,
  });
  await writeFileDurably({ path: certificatePath, contents: certificate, mode: 0o644, replace: false });
  return certificate;
}

const generate = promisify(generateKeyPair);

async function makeKey(kind: KeyKind, path: string): Promise<string> {
  const { privateKey } =
    kind === 'rsa-3072'
      ? await generate('rsa', { modulusLength: 3072 })
      : await generate('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await writeFileDurably({ path, contents: pem, mode: 0o600, replace: false });
  return pem;
}

function pathsOf(folder: string, name: string): [key: string, certificate: string] {
  return [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
}
