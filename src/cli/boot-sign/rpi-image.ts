import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { encodePiBootImage } from '../../boot-signer/image-documents.ts';
import { sha256, toHex } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { referenceOf } from '../../signing/artifact.ts';
import type { RsaPkcs1Signer } from '../../signing/keys/rsa-pkcs1-signer.ts';
import { LARGE_BOOT_IMAGE_BYTES, requireBootImage } from '../../signing/pi/boot-image.ts';
import { createBootSig, TARGET_SOCS, type TargetSoc } from '../../signing/pi/boot-sig.ts';
import { writeFatImage } from '../../signing/pi/fat-image.ts';
import { loadBootFiles } from './boot-files.ts';
import { type CommandContext, createFileSigningCommand, type OutputOptions, printResult } from './command.ts';
import { defaultTimeSeconds, toPositiveInteger } from './options.ts';
import { type RsaKeyOptions, withRsaKey, withRsaSigner } from './rsa-key.ts';
import { createServiceImageSigner } from './service-image-signer.ts';
import type { SigningServiceAddress } from './signing-service-client.ts';
import { UsageError } from './usage-error.ts';

interface RpiImageOptions extends OutputOptions, RsaKeyOptions {
  readonly from?: string;
  readonly out?: string;
  readonly targetSoc?: TargetSoc;
  readonly time?: number;
  readonly publicKey?: string;
}

export function createRpiImageCommand(context: CommandContext): Command {
  return withRsaKey(
    createFileSigningCommand(
      'rpi-image',
      "sign a boot.img for the Raspberry Pi's native bootloader: writes boot.sig (RSA-2048 only)",
      'the FAT image that the bootloader loads; written first when --from is given',
    ),
  )
    .option('--from <DIR>', 'make the image of the files in this folder; the same files give the same bytes')
    .option('--public-key <FILE>', "with --service: the key's public half, PEM")
    .option('--out <FILE>', 'where the signature goes; boot.sig beside the image unless told')
    .addOption(new Option('--target-soc <SOC>', 'name the chip in it').choices(TARGET_SOCS))
    .option(
      '--time <SECONDS>',
      'Unix time to write into it; SOURCE_DATE_EPOCH or now unless told',
      toPositiveInteger,
    )
    .action((file: string, options: RpiImageOptions) => rpiImage(context, file, options));
}

/** A crash between the two leaves a new image beside an old signature, which the bootloader refuses. */
async function rpiImage(context: CommandContext, file: string, options: RpiImageOptions): Promise<void> {
  const { out = join(dirname(file), 'boot.sig'), targetSoc } = options;
  const image =
    options.from === undefined ? await readFile(file) : writeFatImage(await loadBootFiles(options.from));
  requireBootImage(image);
  const timeSeconds = options.time ?? defaultTimeSeconds(context.environment, context.clock.nowMs());
  const bootSig = await withRsaSigner(
    options,
    (address) => serviceSigner(address, image, options),
    (signer) => createBootSig({ image, timeSeconds, signer, ...(targetSoc !== undefined && { targetSoc }) }),
  );
  if (options.from !== undefined)
    await writeFileDurably({ path: file, contents: image, mode: 0o644, replace: true });
  await writeFileDurably({ path: out, contents: bootSig, mode: 0o644, replace: true });
  await printResult(context, options, describe({ out, image, timeSeconds }));
}

async function serviceSigner(
  address: SigningServiceAddress,
  image: Uint8Array,
  { publicKey: file }: RpiImageOptions,
): Promise<RsaPkcs1Signer> {
  if (file === undefined)
    throw new UsageError('with --service say its --public-key, to verify what it signs');
  const publicKey = createPublicKey(await readFile(file));
  const text = encodePiBootImage(referenceOf(image));
  return createServiceImageSigner(address, { type: 'pi-boot-image', publicKey, image, text });
}

function describe({ out, image, timeSeconds }: { out: string; image: Uint8Array; timeSeconds: number }) {
  const digest = toHex(sha256(image));
  const isLarge = image.length > LARGE_BOOT_IMAGE_BYTES;
  const warning = 'warning: above 64 MiB loading takes long, and boards with little memory may fail';
  return {
    lines: [
      `signed ${out}, for an image of ${image.length} bytes`,
      `  SHA-256  ${digest}`,
      ...(isLarge ? [warning] : []),
    ],
    json: { file: out, length: image.length, sha256: digest, timeSeconds, large: isLarge },
  };
}
