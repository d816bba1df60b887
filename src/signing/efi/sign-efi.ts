import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bytesEqual } from '../../core/bytes.ts';
import { authenticodeSha256 } from './authenticode.ts';
import { EfiError } from './efi-error.ts';

export interface SignEfiRequest {
  input: string;
  /** Replaced whole, and only by a file that verifies. */
  output: string;
  /** PEM private key, encrypted or not. */
  keyFile: string;
  /** PEM certificate of that key, as enrolled in db. */
  certificateFile: string;
  /** Its first line is the passphrase; required for an encrypted key. */
  passphraseFile?: string;
  /**
   * The signing time in the signature, so that the same input gives the same bytes. It must lie within the
   * certificate's validity: firmware does not look, but Linux refuses to kexec such a kernel (PKCS#7
   * verification in crypto/asymmetric_keys/pkcs7_verify.c answers EKEYREJECTED).
   */
  epochSeconds: number;
}

const TOOL_TIMEOUT_MS = 120_000;

/**
 * Writes a Secure Boot signature (Authenticode, PKCS#7, SHA-256) with osslsigncode, which, given a time
 * and an RSA key, is deterministic; sbsign is not. A crash leaves at most a temporary folder beside
 * `output`, which is old or new, never partial.
 */
export async function signEfi(request: SignEfiRequest): Promise<void> {
  await requireTimeWithinValidity(request);
  const folder = await mkdtemp(join(dirname(request.output), '.signing-'));
  try {
    const signed = join(folder, basename(request.output));
    await osslsigncode(signArguments(request, signed));
    await osslsigncode(['verify', '-CAfile', request.certificateFile, '-in', signed]);
    await requireSameImage(request.input, signed);
    await rename(signed, request.output);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function requireTimeWithinValidity({ certificateFile, epochSeconds }: SignEfiRequest): Promise<void> {
  const { validFromDate, validToDate } = readCertificate(await readFile(certificateFile), certificateFile);
  const time = new Date(epochSeconds * 1000);
  if (time >= validFromDate && time <= validToDate) return;
  const validity = `${validFromDate.toISOString()} to ${validToDate.toISOString()}`;
  throw new EfiError(
    'efi-signing-failed',
    `the signing time ${epochSeconds} is not within the certificate's validity, ${validity}`,
  );
}

function readCertificate(pem: Uint8Array, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new EfiError('efi-signing-failed', `${file} is not a certificate in PEM`, { cause });
  }
}

function signArguments(request: SignEfiRequest, signed: string): string[] {
  const passphrase = request.passphraseFile === undefined ? [] : ['-readpass', request.passphraseFile];
  return [
    ...['sign', '-h', 'sha256', '-time', String(request.epochSeconds)],
    ...['-certs', request.certificateFile, '-key', request.keyFile, ...passphrase],
    ...['-in', request.input, '-out', signed],
  ];
}

/** The tool's own verification says that the signature is good; this says that it is for our image. */
async function requireSameImage(input: string, signed: string): Promise<void> {
  const [before, after] = await Promise.all([readFile(input), readFile(signed)]);
  if (!bytesEqual(authenticodeSha256(before), authenticodeSha256(after)))
    throw new EfiError('efi-signing-failed', `signing changed the image ${input}`);
}

/** In a session of its own and without input: it would ask for a passphrase on the terminal and wait. */
function osslsigncode(args: readonly string[]): Promise<void> {
  const child = spawn('osslsigncode', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    timeout: TOOL_TIMEOUT_MS,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(toolFailure(args, 'it cannot be started: is it installed?', cause)),
    );
    child.once('close', (status) => (status === 0 ? resolve() : reject(toolFailure(args, explain(output)))));
  });
}

/** Without OpenSSL's error queue, the prompts and the good news in between. */
function explain(output: string): string {
  const telling = output
    .split('\n')
    .filter((line) => /fail|error|mismatch|unable|unrecognized|invalid/i.test(line));
  const lines = telling.filter((line) => !/:error:|^Failed$/.test(line));
  return lines.length === 0 ? 'no explanation' : lines.slice(0, 3).join('; ');
}

function toolFailure(args: readonly string[], why: string, cause?: unknown): EfiError {
  return new EfiError('efi-signing-failed', `osslsigncode ${args[0]} failed: ${why}`, { cause });
}
