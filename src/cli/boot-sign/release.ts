import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { referenceOf } from '../../signing/artifact.ts';
import {
  encodeReleaseManifest,
  HANDOVERS,
  type Handover,
  type ReleaseListing,
  type ReleaseManifest,
} from '../../signing/manifest.ts';
import { type Architecture, channelRole, releaseTarget } from '../../signing/names.ts';
import { storeArtifact } from '../../signing/repository/artifact-folder.ts';
import { requireNewNumber } from '../../signing/repository/taken-numbers.ts';
import { proposeRelease } from '../../signing/tuf/propose.ts';
import { type AttachmentFiles, loadAttachments, toAttachments } from './attachments.ts';
import { carryOut, printCarriedOut } from './carry-out.ts';
import { changeRepository, type RepositoryWork } from './change-repository.ts';
import { type CommandContext, createSigningCommand, type SigningOptions } from './command.ts';
import { KEY_HELP } from './key-access.ts';
import { openRepository } from './open-repository.ts';
import {
  defaultTimeSeconds,
  toArchitecture,
  toChannel,
  toPositiveInteger,
  toReleaseName,
} from './options.ts';
import { signImage } from './sign-image.ts';

interface ReleaseOptions extends SigningOptions {
  readonly channel: string;
  readonly version: number;
  readonly name: string;
  readonly kernel: string;
  readonly initramfs: string;
  readonly cmdline: string;
  readonly architecture: Architecture;
  readonly handover?: Handover;
  readonly signKernel?: true;
  readonly time?: number;
  readonly attach?: AttachmentFiles;
}

/** See CLIENTS: kexec is dependable on x86-64 only. */
const DEFAULT_HANDOVER: Readonly<Record<Architecture, Handover>> = {
  'x86-64': 'kexec',
  arm64: 'switch-root',
};

export function createReleaseCommand(context: CommandContext): Command {
  return createSigningCommand('release', 'list a release in its channel: what is listed never changes')
    .requiredOption('--channel <NAME>', 'the channel', toChannel)
    .requiredOption('--version <N>', 'its number in the channel', toPositiveInteger)
    .requiredOption('--name <TEXT>', 'what people call it', toReleaseName)
    .requiredOption('--kernel <FILE>', 'the kernel')
    .requiredOption('--initramfs <FILE>', 'the initramfs')
    .requiredOption('--cmdline <TEXT>', 'the kernel command line')
    .option('--architecture <NAME>', 'x86-64 or arm64', toArchitecture, 'x86-64')
    .addOption(new Option('--handover <HOW>', 'how stage-0 starts it').choices(HANDOVERS))
    .option('--attach <NAME=FILE>', 'what goes with it, such as sbom=FILE or provenance=FILE', toAttachments)
    .option('--sign-kernel', 'sign the kernel for Secure Boot: a locked-down stage-0 starts no other')
    .option('--db-key <KEY>', `the Secure Boot key, if not in the folder: ${KEY_HELP}`)
    .option(
      '--time <SECONDS>',
      'Unix time to sign as; SOURCE_DATE_EPOCH or now unless told',
      toPositiveInteger,
    )
    .action((folder: string, options: ReleaseOptions) =>
      changeRepository(folder, options, (work) => release(context, work)),
    );
}

async function release(
  context: CommandContext,
  { folder, options, keys }: RepositoryWork<ReleaseOptions>,
): Promise<void> {
  const nowMs = context.clock.nowMs();
  const repository = await openRepository(folder, { ...context, nowMs });
  const { layout } = repository;
  const kernelFile = await readFile(options.kernel);
  const initramfs = await readFile(options.initramfs);
  const epochSeconds = options.time ?? defaultTimeSeconds(context.environment, nowMs);
  const kernel = options.signKernel
    ? await signImage(layout, { image: kernelFile, epochSeconds, signer: await keys.openDbKey() })
    : kernelFile;
  const attachments = await loadAttachments(options.attach ?? new Map());
  const manifest = manifestOf(options, { kernel, initramfs, attachments });
  const manifestBytes = encodeReleaseManifest(manifest);
  const listing = listingOf(manifest, manifestBytes);
  // Decided before anything is written; artifacts first, so that metadata never name what is not there.
  const proposal = proposeRelease(repository.current, listing, repository.expiry.offlineMs);
  requireNewNumber(repository.stored, channelRole(listing.channel), listing.target);
  const carriedOut = await carryOut(repository, {
    proposal,
    keys,
    nowMs,
    before: async () => {
      for (const artifact of [kernel, initramfs, ...attachments.values(), manifestBytes])
        await storeArtifact(layout, artifact);
    },
  });
  const result = describe(listing, manifest, carriedOut.inForce ? 'listed' : 'proposed');
  await printCarriedOut(context, options, { result, carriedOut });
}

function manifestOf(
  options: ReleaseOptions,
  parts: {
    kernel: Uint8Array;
    initramfs: Uint8Array;
    attachments: ReadonlyMap<string, Uint8Array>;
  },
): ReleaseManifest {
  const { channel, version, name, architecture, cmdline } = options;
  return {
    channel,
    version,
    name,
    architecture,
    handover: options.handover ?? DEFAULT_HANDOVER[architecture],
    cmdline,
    kernel: referenceOf(parts.kernel),
    initramfs: referenceOf(parts.initramfs),
    attachments: new Map([...parts.attachments].map(([name, bytes]) => [name, referenceOf(bytes)])),
  };
}

function listingOf(manifest: ReleaseManifest, bytes: Uint8Array): ReleaseListing {
  const { channel, version, architecture, name } = manifest;
  const target = releaseTarget(channel, version);
  return { channel, version, target, architecture, name, ...referenceOf(bytes) };
}

function describe(listing: ReleaseListing, manifest: ReleaseManifest, what: string) {
  const { kernel, initramfs, handover, attachments } = manifest;
  const attached = [...attachments].map(([name, reference]) => [name, { ...reference }] as const);
  return {
    lines: [
      `${what} ${listing.target}, "${listing.name}"`,
      `  release digest  ${listing.sha256}`,
      `  kernel          ${kernel.sha256}, ${kernel.length} bytes`,
      `  initramfs       ${initramfs.sha256}, ${initramfs.length} bytes`,
      ...attached.map(([name, { sha256, length }]) => `  ${name.padEnd(15)} ${sha256}, ${length} bytes`),
    ],
    json: {
      ...listing,
      handover,
      kernel: { ...kernel },
      initramfs: { ...initramfs },
      ...(attached.length > 0 && { attachments: Object.fromEntries(attached) }),
    },
  };
}
