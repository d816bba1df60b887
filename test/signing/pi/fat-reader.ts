/**
 * Reads a FAT16 volume back, the way its specification says and with none of the writer's code: long names,
 * chains by the first table, which must be the second one's.
 */
export function readFatImage(image: Uint8Array): Map<string, string> {
  const disk = Buffer.from(image);
  const [sectorBytes, clusterSectors] = [disk.readUInt16LE(11), disk.readUInt8(13)];
  const [reserved, rootEntries, fatSectors] = [
    disk.readUInt16LE(14),
    disk.readUInt16LE(17),
    disk.readUInt16LE(22),
  ];
  const fatAt = (copy: number) => (reserved + copy * fatSectors) * sectorBytes;
  const fat = disk.subarray(fatAt(0), fatAt(1));
  const rootAt = fatAt(disk.readUInt8(16));
  if (!fat.equals(disk.subarray(fatAt(1), rootAt))) throw new Error('the two tables differ');
  const dataAt = rootAt + rootEntries * 32;
  const clusterBytes = clusterSectors * sectorBytes;
  const files = new Map<string, string>();

  const chain = (first: number): Buffer => {
    const parts: Buffer[] = [];
    for (let cluster = first; cluster >= 2 && cluster < 0xfff8; cluster = fat.readUInt16LE(cluster * 2)) {
      const at = dataAt + (cluster - 2) * clusterBytes;
      parts.push(disk.subarray(at, at + clusterBytes));
    }
    return Buffer.concat(parts);
  };

  const walk = (entries: Buffer, prefix: string): void => {
    let longName = '';
    for (let at = 0; at + 32 <= entries.length && entries[at] !== 0; at += 32) {
      const entry = entries.subarray(at, at + 32);
      const attribute = entry.readUInt8(11);
      if (attribute === 0x0f) {
        const units = [entry.subarray(1, 11), entry.subarray(14, 26), entry.subarray(28, 32)];
        longName = Buffer.concat(units).toString('utf16le') + longName;
        continue;
      }
      const short = [entry.subarray(0, 8), entry.subarray(8, 11)].map((part) =>
        part.toString('latin1').trim(),
      );
      const name = longName === '' ? short.filter(Boolean).join('.') : (longName.split('\0', 1)[0] ?? '');
      longName = '';
      if (attribute === 0x08 || /^\.+$/.test(name)) continue;
      const content = chain(entry.readUInt16LE(26));
      if (attribute === 0x10) walk(content, `${prefix}${name}/`);
      else files.set(prefix + name, content.toString('latin1', 0, entry.readUInt32LE(28)));
    }
  };
  walk(disk.subarray(rootAt, dataAt), '');
  return files;
}
