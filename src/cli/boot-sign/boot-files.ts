import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { MAX_BOOT_IMAGE_BYTES } from '../../signing/pi/boot-image.ts';
import type { BootFile } from '../../signing/pi/fat-image.ts';
import { PiError } from '../../signing/pi/pi-error.ts';

/** Every file below a folder. Links are refused: what is signed is what lies there. */
export async function loadBootFiles(folder: string): Promise<BootFile[]> {
  const files: BootFile[] = [];
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) continue;
    if (!entry.isFile()) throw new PiError('boot-files-invalid', `${file} is neither a file nor a folder`);
    const data = await readFile(file);
    bytes += data.length;
    if (bytes > MAX_BOOT_IMAGE_BYTES)
      throw new PiError('boot-files-invalid', `${folder} holds more than the bootloader loads`);
    files.push({ path: relative(folder, file), data });
  }
  return files;
}
