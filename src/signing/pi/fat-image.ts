import { concatBytes, EMPTY } from '../../core/bytes.ts';
import { MAX_BOOT_IMAGE_BYTES } from './boot-image.ts';
import {
  ATTRIBUTE,
  countEntries,
  ENTRY_BYTES,
  encodeDirectory,
  encodeEntry,
  requireFatName,
} from './fat-directory.ts';
import { PiError } from './pi-error.ts';

/** Paths are relative, with `/`; folders come from them. */
export interface BootFile {
  readonly path: string;
  readonly data: Uint8Array;
}

interface Folder {
  readonly folders: Map<string, Folder>;
  readonly files: Map<string, Uint8Array>;
}

const SECTOR_BYTES = 512;
const ROOT_ENTRIES = 512;
const ROOT_SECTORS = (ROOT_ENTRIES * ENTRY_BYTES) / SECTOR_BYTES;
const FATS = 2;
const MEDIA = 0xf8;
const END_OF_CHAIN = 0xffff;
/** FAT16 is what has 4085 to 65524 clusters and nothing else; some readers are off by a few, so away from it. */
const MIN_CLUSTERS = 4200;
const MAX_CLUSTERS = 65_000;
const LABEL = 'BOOT';
const VOLUME_ID = 0x424f_4f54;

/**
 * A FAT16 volume without a partition table, as large as its files need. The same files give the same bytes,
 * in whatever order they come: sorted by name, dated 1980.
 */
export function writeFatImage(files: readonly BootFile[]): Uint8Array {
  const root = toTree(files);
  if (countEntries(namesIn(root)) + 1 > ROOT_ENTRIES) invalid('there are too many files in the top folder');
  for (const sectorsPerCluster of [1, 2, 4, 8]) {
    const volume = new Clusters(sectorsPerCluster * SECTOR_BYTES);
    const rootEntries = concatBytes(
      encodeEntry(LABEL, { attribute: ATTRIBUTE.volumeLabel, firstCluster: 0, size: 0 }),
      encodeMembers(volume, root, 0),
    );
    if (volume.count <= MAX_CLUSTERS) return assemble(volume, rootEntries, sectorsPerCluster);
  }
  return invalid('the files are too large for an image that the bootloader loads');
}

/** The data area, filled from the front: every chain is one run. */
class Clusters {
  readonly clusterBytes: number;
  readonly #data = new Map<number, Uint8Array>();
  readonly #chains: number[] = [MEDIA | 0xff00, END_OF_CHAIN];

  constructor(clusterBytes: number) {
    this.clusterBytes = clusterBytes;
  }

  get count(): number {
    return this.#chains.length - 2;
  }

  /** @returns the first cluster; 0 for what is empty */
  reserve(bytes: number): number {
    const clusters = Math.ceil(bytes / this.clusterBytes);
    if (clusters === 0) return 0;
    const first = this.#chains.length;
    for (let index = 1; index < clusters; index++) this.#chains.push(first + index);
    this.#chains.push(END_OF_CHAIN);
    return first;
  }

  put(firstCluster: number, data: Uint8Array): void {
    if (firstCluster !== 0) this.#data.set(firstCluster, data);
  }

  writeTable(target: DataView): void {
    for (const [index, next] of this.#chains.entries()) target.setUint16(index * 2, next, true);
  }

  writeData(target: Uint8Array): void {
    for (const [first, data] of this.#data) target.set(data, (first - 2) * this.clusterBytes);
  }
}

/** A folder takes its place before what is in it does, as its members name it. */
function encodeMembers(volume: Clusters, folder: Folder, self: number): Uint8Array {
  const members = namesIn(folder).map((name) => {
    const child = folder.folders.get(name);
    if (child !== undefined)
      return { name, attribute: ATTRIBUTE.directory, firstCluster: addFolder(volume, child, self), size: 0 };
    const data = folder.files.get(name) ?? EMPTY;
    const firstCluster = volume.reserve(data.length);
    volume.put(firstCluster, data);
    return { name, attribute: ATTRIBUTE.archive, firstCluster, size: data.length };
  });
  return encodeDirectory(members);
}

function addFolder(volume: Clusters, folder: Folder, parent: number): number {
  const self = volume.reserve((2 + countEntries(namesIn(folder))) * ENTRY_BYTES);
  const entry = { attribute: ATTRIBUTE.directory, size: 0 };
  const dots = [
    encodeEntry('.', { ...entry, firstCluster: self }),
    encodeEntry('..', { ...entry, firstCluster: parent }),
  ];
  volume.put(self, concatBytes(...dots, encodeMembers(volume, folder, self)));
  return self;
}

function assemble(volume: Clusters, rootEntries: Uint8Array, sectorsPerCluster: number): Uint8Array {
  const clusters = Math.max(volume.count, MIN_CLUSTERS);
  const fatSectors = Math.ceil(((clusters + 2) * 2) / SECTOR_BYTES);
  const rootSector = 1 + FATS * fatSectors;
  const dataSector = rootSector + ROOT_SECTORS;
  const totalSectors = dataSector + clusters * sectorsPerCluster;
  if (totalSectors * SECTOR_BYTES > MAX_BOOT_IMAGE_BYTES)
    return invalid(`they make an image above ${MAX_BOOT_IMAGE_BYTES} bytes, which the bootloader refuses`);
  const image = new Uint8Array(totalSectors * SECTOR_BYTES);
  image.set(bootSector({ sectorsPerCluster, fatSectors, totalSectors }));
  for (let copy = 0; copy < FATS; copy++)
    volume.writeTable(new DataView(image.buffer, (1 + copy * fatSectors) * SECTOR_BYTES));
  image.set(rootEntries, rootSector * SECTOR_BYTES);
  volume.writeData(image.subarray(dataSector * SECTOR_BYTES));
  return image;
}

/** "Boot Sector and BPB", with the extended part of FAT12 and FAT16. */
function bootSector(volume: {
  sectorsPerCluster: number;
  fatSectors: number;
  totalSectors: number;
}): Uint8Array {
  const { sectorsPerCluster, fatSectors, totalSectors } = volume;
  const sector = Buffer.alloc(SECTOR_BYTES);
  sector.set([0xeb, 0x3c, 0x90]);
  sector.write('bootward', 3, 'latin1');
  sector.writeUInt16LE(SECTOR_BYTES, 11);
  sector.writeUInt8(sectorsPerCluster, 13);
  sector.writeUInt16LE(1, 14); // reserved sectors
  sector.writeUInt8(FATS, 16);
  sector.writeUInt16LE(ROOT_ENTRIES, 17);
  if (totalSectors < 0x10000) sector.writeUInt16LE(totalSectors, 19);
  else sector.writeUInt32LE(totalSectors, 32);
  sector.writeUInt8(MEDIA, 21);
  sector.writeUInt16LE(fatSectors, 22);
  sector.writeUInt16LE(1, 24); // sectors per track, heads: a geometry of 1/1
  sector.writeUInt16LE(1, 26);
  sector.writeUInt8(0x80, 36); // drive
  sector.writeUInt8(0x29, 38); // the three fields that follow are there
  sector.writeUInt32LE(VOLUME_ID, 39);
  sector.write(LABEL.padEnd(11), 43, 'latin1');
  sector.write('FAT16   ', 54, 'latin1');
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

function toTree(files: readonly BootFile[]): Folder {
  const root: Folder = { folders: new Map(), files: new Map() };
  if (files.length === 0) return invalid('there are none');
  for (const { path, data } of files) {
    const parts = path.split('/');
    const name = parts.pop() ?? '';
    let folder = root;
    for (const part of parts) folder = folderIn(folder, part);
    requireFree(folder, name);
    folder.files.set(name, data);
  }
  return root;
}

function folderIn(parent: Folder, name: string): Folder {
  const present = parent.folders.get(name);
  if (present !== undefined) return present;
  requireFree(parent, name);
  const folder: Folder = { folders: new Map(), files: new Map() };
  parent.folders.set(name, folder);
  return folder;
}

/** To FAT, names that differ in case only are the same. */
function requireFree(folder: Folder, name: string): void {
  requireFatName(name);
  const upper = name.toUpperCase();
  if (namesIn(folder).some((taken) => taken.toUpperCase() === upper))
    invalid(`${JSON.stringify(name)} appears twice, perhaps in other case`);
}

function namesIn({ folders, files }: Folder): string[] {
  return [...folders.keys(), ...files.keys()].sort();
}

function invalid(why: string): never {
  throw new PiError('boot-files-invalid', `these files cannot become a boot.img: ${why}`);
}
