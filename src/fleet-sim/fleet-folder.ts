import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../core/errors.ts';
import { isJsonObject, parseStrictJson } from '../core/strict-json.ts';
import { type Chip, createChip, encodeChip, fingerprintOf, parseChip } from './chip/chip.ts';
import { createAuthority } from './chip/manufacturer.ts';
import { FleetError } from './fleet-error.ts';

const FORMAT = 'bootward-fleet-v1';
/** 10,000 chips of 2 kB. */
const LIMITS = { maxBytes: 64 * 1024 * 1024, maxDepth: 4 };

/** What an operator gives to a server, so that the fleet may enrol. */
export interface FleetFolder {
  /** DER: the CA that certified every chip. */
  readonly manufacturerFile: string;
  /** Fingerprints of the endorsement keys, one a line. */
  readonly eksFile: string;
  readonly fleetFile: string;
}

export function filesIn(folder: string): FleetFolder {
  return {
    manufacturerFile: join(folder, 'manufacturer.der'),
    eksFile: join(folder, 'eks.txt'),
    fleetFile: join(folder, 'fleet.json'),
  };
}

/**
 * A new fleet in a new folder, its chips last: a folder without them is no fleet.
 *
 * @throws {FleetError} `fleet-folder`
 */
export async function createFleetFolder(folder: string, nodes: number): Promise<FleetFolder> {
  const files = filesIn(folder);
  const manufacturer = await createAuthority('Bootward simulated TPMs');
  const chips: Chip[] = [];
  for (let made = 0; made < nodes; made += 1) chips.push(await createChip(manufacturer));
  const list = chips.map((chip, index) => `${fingerprintOf(chip)} simulated ${index + 1}\n`);
  const fleet = { format: FORMAT, chips: chips.map(encodeChip) };
  try {
    await mkdir(folder);
    await writeFile(files.manufacturerFile, manufacturer.certificate);
    await writeFile(files.eksFile, list.join(''));
    await writeFile(files.fleetFile, JSON.stringify(fleet), { mode: 0o600 });
  } catch (cause) {
    throw new FleetError('fleet-folder', `no fleet was made in ${folder}: ${messageOf(cause)}`, { cause });
  }
  return files;
}

/** @throws {FleetError} `fleet-folder` */
export async function loadChips(folder: string): Promise<Chip[]> {
  const { fleetFile } = filesIn(folder);
  const bytes = await readFile(fleetFile).catch((cause: unknown) => {
    throw new FleetError('fleet-folder', `${messageOf(cause)}: make one with "fleet-sim create"`, { cause });
  });
  const document = parseStrictJson(bytes, LIMITS);
  if (!isJsonObject(document) || document.format !== FORMAT || !Array.isArray(document.chips))
    throw new FleetError('fleet-folder', `${fleetFile} is no fleet of ours`);
  return document.chips.map(parseChip);
}
