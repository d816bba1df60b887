import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { encodeEfiImage } from '../../boot-signer/image-documents.ts';
import { sha256, toHex } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { referenceOf } from '../../signing/artifact.ts';
import { authenticodeSha256 } from '../../signing/efi/authenticode.ts';
import { EfiError } from '../../signing/efi/efi-error.ts';
import { signEfi, verifyEfi } from '../../signing/efi/sign-efi.ts';
import { type CommandContext, createFileSigningCommand, type OutputOptions, printResult } from './command.ts';
import { defaultTimeSeconds, toPositiveInteger } from './options.ts';
import { type RsaKeyOptions, withRsaKey, withRsaSigner } from './rsa-key.ts';
import { createServiceImageSigner } from './service-image-signer.ts';
import { UsageError } from './usage-error.ts';

interface SignEfiOptions extends OutputOptions, RsaKeyOptions {
  readonly certificate: string;
  readonly out: string;
  readonly others: 'replace' | 'keep';
  readonly time?: number;
}

export function createSignEfiCommand(context: CommandContext): Command {
  return withRsaKey(
    createFileSigningCommand('sign-efi', 'sign an EFI image for Secure Boot', 'a UKI, kernel or boot loader'),
  )
    .requiredOption('--certificate <FILE>', "the key's certificate, as enrolled in db (PEM or DER)")
    .requiredOption('--out <FILE>', 'where the signed image goes; replaced whole')
    .addOption(
      new Option(
        '--others <WHAT>',
        'what becomes of signatures by others; Linux kexecs an image with one only',
      )
        .choices(['replace', 'keep'])
        .default('replace'),
    )
    .option(
      '--time <SECONDS>',
      'Unix time to sign as; SOURCE_DATE_EPOCH or now unless told',
      toPositiveInteger,
    )
    .action((file: string, options: SignEfiOptions) => signEfiFile(context, file, options));
}

async function signEfiFile(context: CommandContext, file: string, options: SignEfiOptions): Promise<void> {
  const { certificate: certificateFile, out, others } = options;
  const certificate = parseCertificate(await readFile(certificateFile), certificateFile);
  const image = await readFile(file);
  requireSameTimeLater(context, options);
  const epochSeconds = options.time ?? defaultTimeSeconds(context.environment, context.clock.nowMs());
  const digest = toHex(authenticodeSha256(image));
  const text = encodeEfiImage({ ...referenceOf(image), authenticodeSha256: digest, time: epochSeconds });
  const { publicKey } = certificate;
  const signed = await withRsaSigner(
    options,
    async (address) => createServiceImageSigner(address, { type: 'efi-image', publicKey, image, text }),
    (signer) => signEfi({ image, signer, certificate, epochSeconds, others }),
  );
  await writeFileDurably({ path: out, contents: signed, mode: 0o644, replace: true });
  await printResult(context, options, describe(out, signed, verifyEfi(signed, certificate).signatures));
}

/** The time is signed: what people approved is asked for again with the same one. */
function requireSameTimeLater({ environment }: CommandContext, { service, time }: SignEfiOptions): void {
  if (service !== undefined && time === undefined && environment.SOURCE_DATE_EPOCH === undefined)
    throw new UsageError('with --service say --time, or SOURCE_DATE_EPOCH: the same when you ask again');
}

function parseCertificate(bytes: Uint8Array, file: string): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (cause) {
    throw new EfiError('efi-signing-failed', `${file} is not a certificate in PEM or DER`, { cause });
  }
}

function describe(out: string, signed: Uint8Array, signatures: number) {
  const digests = { sha256: toHex(sha256(signed)), authenticodeSha256: toHex(authenticodeSha256(signed)) };
  return {
    lines: [
      `signed ${out}, ${signed.length} bytes, ${signatures === 1 ? 'one signature' : `${signatures} signatures`}`,
      `  SHA-256       ${digests.sha256}`,
      `  Authenticode  ${digests.authenticodeSha256}`,
    ],
    json: { file: out, length: signed.length, signatures, ...digests },
  };
}
