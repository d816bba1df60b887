import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { toHex, utf8Bytes } from '../../core/bytes.ts';
import { referenceOf } from '../../signing/artifact.ts';
import {
  composeStage0,
  SETTINGS_LINE,
  type Stage0Base,
  type Stage0Image,
} from '../../signing/efi/stage0-image.ts';
import { type Architecture, STAGE0_ROLE, stage0Target } from '../../signing/names.ts';
import { storeArtifact } from '../../signing/repository/artifact-folder.ts';
import type { StoredMetadata } from '../../signing/repository/metadata-folder.ts';
import { requireNewNumber } from '../../signing/repository/taken-numbers.ts';
import type { Stage0Listing } from '../../signing/tuf/listings.ts';
import { proposeStage0 } from '../../signing/tuf/propose.ts';
import {
  encodeAgentConfig,
  ON_FAILURE,
  type OnFailure,
  toServerUrl,
  toWatchdogSeconds,
} from './agent-config.ts';
import { type CarriedOut, carryOut, printCarriedOut } from './carry-out.ts';
import { changeRepository, type KeysAtHand, type RepositoryWork } from './change-repository.ts';
import { type CommandContext, createSigningCommand, printResult, type SigningOptions } from './command.ts';
import type { FloorKey } from './floor-key.ts';
import { KEY_HELP } from './key-access.ts';
import { type OpenRepository, openRepository } from './open-repository.ts';
import { defaultTimeSeconds, toArchitecture, toPositiveInteger } from './options.ts';
import { predictPcrs } from './predicted-pcrs.ts';
import { loadServerCa } from './server-ca.ts';
import { signImage } from './sign-image.ts';
import { UsageError } from './usage-error.ts';

interface Stage0Options extends SigningOptions {
  readonly base: string;
  readonly build: number;
  readonly architecture: Architecture;
  readonly serverUrl: string;
  readonly serverCa: string;
  readonly onFailure: OnFailure;
  readonly cmdline: string;
  readonly watchdog?: number;
  readonly time?: number;
  readonly save?: string;
  readonly signOnly?: true;
  readonly dryRun?: true;
}

const STUB_NAMES: Readonly<Record<Architecture, string>> = {
  'x86-64': 'linuxx64.efi.stub',
  arm64: 'linuxaa64.efi.stub',
};

export function createStage0Command(context: CommandContext): Command {
  return createSigningCommand('stage0', 'compose, sign and list the stage-0 image that firmware loads')
    .requiredOption('--base <FOLDER>', 'the base image: vmlinuz, initramfs.cpio.zst, EFI stub, os-release')
    .requiredOption('--build <N>', 'its build number', toPositiveInteger)
    .requiredOption('--server-url <URL>', "the agents' door: https://HOST:PORT", toServerUrl)
    .requiredOption('--server-ca <FILE>', "the certificate of the boot server's CA (PEM)")
    .option('--architecture <NAME>', 'x86-64 or arm64', toArchitecture, 'x86-64')
    .option(
      '--cmdline <TEXT>',
      "stage-0's kernel command line",
      'console=tty0 console=ttyS0,115200 quiet panic=10',
    )
    .addOption(
      new Option('--on-failure <WHAT>', 'what a node does when it gives up')
        .choices(ON_FAILURE)
        .default('reboot'),
    )
    .option(
      '--watchdog <SECONDS>',
      'reset the machine when nothing feeds its watchdog for so long; for releases that feed it',
      toWatchdogSeconds,
    )
    .option(
      '--time <SECONDS>',
      'Unix time to sign as; SOURCE_DATE_EPOCH or now unless told',
      toPositiveInteger,
    )
    .option('--db-key <KEY>', `the Secure Boot key, if not in the folder: ${KEY_HELP}`)
    .option('--floor-key <KEY>', `the key that lets it keep a floor, if not in the folder: ${KEY_HELP}`)
    .option('--save <FILE>', 'write the signed image here as well')
    .option('--sign-only', 'with --save: sign it and list nothing, to try it first')
    .option('--dry-run', 'say what would be listed; sign and write nothing')
    .action((folder: string, options: Stage0Options) =>
      changeRepository(folder, options, (work) => stage0(context, work)),
    );
}

async function stage0(
  context: CommandContext,
  { folder, options, keys }: RepositoryWork<Stage0Options>,
): Promise<void> {
  if (options.signOnly && options.save === undefined)
    throw new UsageError('--sign-only writes nothing but the file that --save names');
  const nowMs = context.clock.nowMs();
  const epochSeconds = options.time ?? defaultTimeSeconds(context.environment, nowMs);
  const repository = await openRepository(folder, { ...context, nowMs });
  const floorKey = await keys.findFloorKey();
  const composed = await compose(repository, { options, epochSeconds, floorKey });
  if (options.dryRun) {
    const floor = floorKey && { floorKey: floorKey.spki };
    const unsigned = { ...listingOf(composed, composed.image, options), ...floor };
    await printResult(context, options, describe(unsigned, 'would list (unsigned so far)'));
    return;
  }
  const signer = await keys.openDbKey();
  const image = await signImage(repository.layout, { image: composed.image, epochSeconds, signer });
  const floor = options.signOnly ? undefined : await approve(composed, floorKey);
  const build = { ...listingOf(composed, image, options), ...floor };
  const carriedOut = options.signOnly ? undefined : await list(repository, { build, image, keys, nowMs });
  if (options.save !== undefined) await writeFile(options.save, image);
  if (carriedOut === undefined) {
    await printResult(context, options, describe(build, 'signed, not listed:'));
    return;
  }
  const result = describe(build, carriedOut.inForce ? 'listed' : 'proposed');
  await printCarriedOut(context, options, { result, carriedOut });
}

/** Decided before anything is written; the image first, so that metadata never name what is not there. */
async function list(
  repository: OpenRepository,
  input: { build: Stage0Listing; image: Uint8Array; keys: KeysAtHand; nowMs: number },
): Promise<CarriedOut> {
  const { layout, stored, current, expiry } = repository;
  const proposal = proposeStage0(current, input.build, expiry.offlineMs);
  requireNewNumber(stored, STAGE0_ROLE, input.build.target);
  return carryOut(repository, {
    proposal,
    keys: input.keys,
    nowMs: input.nowMs,
    before: async () => {
      await storeArtifact(layout, input.image);
    },
  });
}

async function compose(
  { current, stored }: OpenRepository,
  input: { options: Stage0Options; epochSeconds: number; floorKey: FloorKey | undefined },
): Promise<Stage0Image> {
  const { options, epochSeconds: builtAtSeconds, floorKey } = input;
  const { serverUrl, build, onFailure, watchdog, cmdline } = options;
  const agent = { serverUrl, build, builtAtSeconds, onFailure };
  const { root } = current;
  return composeStage0({
    base: await loadBase(options.base, options.architecture),
    config: {
      'agent.conf': utf8Bytes(
        encodeAgentConfig({ ...agent, ...(watchdog !== undefined && { watchdogSeconds: watchdog }) }),
      ),
      'server-ca.pem': await loadServerCa(options.serverCa),
      'root.json': root.bytes,
      ...(floorKey && { ...floorKey.settings, ...rootsIn(stored) }),
    },
    cmdline,
  });
}

/** A node whose floor is of an earlier one compares their keys (docs/agent.md, "The floor"). */
function rootsIn({ files }: StoredMetadata): Readonly<Record<string, Uint8Array>> {
  return Object.fromEntries([...files].filter(([name]) => /^\d+\.root\.json$/.test(name)));
}

/** What lets this image, and no other, write the floor. */
async function approve(
  composed: Stage0Image,
  floorKey: FloorKey | undefined,
): Promise<Pick<Stage0Listing, 'floorKey' | 'floorApprovals'>> {
  if (floorKey === undefined) return {};
  return {
    floorKey: floorKey.spki,
    floorApprovals: await floorKey.approve(predictPcrs(composed.image, composed)),
  };
}

async function loadBase(folder: string, architecture: Architecture): Promise<Stage0Base> {
  const read = (name: string) => readFile(join(folder, name));
  const osRelease = await read('os-release');
  if (!Buffer.from(osRelease).toString('latin1').split('\n').includes(SETTINGS_LINE))
    throw new UsageError(
      `${folder} was built for another boot-sign, whose settings its agent reads: build it again ("make images")`,
    );
  return {
    kernel: await read('vmlinuz'),
    initramfs: await read('initramfs.cpio.zst'),
    stub: await read(STUB_NAMES[architecture]),
    osRelease,
  };
}

/** A signature changes neither measurement: Authenticode and the sections leave it out. */
function listingOf(
  composed: Stage0Image,
  image: Uint8Array,
  { build, architecture }: Stage0Options,
): Stage0Listing {
  return {
    build,
    architecture,
    target: stage0Target(architecture, build),
    ...referenceOf(image),
    authenticodeSha256: toHex(composed.authenticodeSha256),
    pcr11: toHex(composed.pcr11),
  };
}

function describe(listing: Stage0Listing, what: string) {
  return {
    lines: [
      `${what} ${listing.target}, ${listing.length} bytes`,
      `  SHA-256       ${listing.sha256}`,
      `  Authenticode  ${listing.authenticodeSha256} (PCR 4)`,
      `  PCR 11        ${listing.pcr11}`,
      `  floor         ${listing.floorKey === undefined ? 'none' : 'kept'}`,
    ],
    json: { ...listing },
  };
}
