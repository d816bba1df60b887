import { concatBytes } from '../../core/bytes.ts';
import { writeCpio } from './cpio.ts';
import { EfiError } from './efi-error.ts';
import { assembleUki } from './uki.ts';
import { measureUki, type UkiMeasurement } from './uki-measurement.ts';

/** What `images/` builds once from Debian packages and the agent: the same for every server. */
export interface Stage0Base {
  /** A bzImage, unsigned: firmware verifies the whole image that it is part of. */
  kernel: Uint8Array;
  initramfs: Uint8Array;
  stub: Uint8Array;
  osRelease: Uint8Array;
}

export interface Stage0Image extends UkiMeasurement {
  image: Uint8Array;
}

/** Firmware loads it whole, on slow links and into small memories. */
export const MAX_STAGE0_BYTES = 24 * 1024 * 1024;
/** In a base's os-release: which files in /etc/bootward its agent reads. Another agent would leave some out silently. */
export const SETTINGS_LINE = 'BOOTWARD_SETTINGS=2';

const CONFIG_FOLDER = 'etc/bootward';
const CONFIG_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/**
 * One server's stage-0: the base with `config` as files in /etc/bootward, so that all of it is measured
 * and signed. The files travel in a small archive of their own *in front of* the base initramfs: behind
 * a compressed archive the kernel would lose them, and nothing has to be packed or compressed again.
 *
 * @param config file name to content; the agent's documentation names the files.
 */
export function composeStage0(input: {
  base: Stage0Base;
  config: Readonly<Record<string, Uint8Array>>;
  cmdline: string;
}): Stage0Image {
  const { base, config, cmdline } = input;
  const image = assembleUki({
    stub: base.stub,
    sections: {
      osRelease: base.osRelease,
      cmdline,
      initramfs: concatBytes(writeConfigArchive(config), base.initramfs),
      kernel: base.kernel,
    },
  });
  if (image.length > MAX_STAGE0_BYTES)
    throw new EfiError('uki-invalid', `stage-0 has ${image.length} bytes, ${MAX_STAGE0_BYTES} are allowed`);
  return { image, ...measureUki(image) };
}

function writeConfigArchive(config: Readonly<Record<string, Uint8Array>>): Uint8Array {
  return writeCpio(
    Object.entries(config).map(([name, data]) => {
      if (!CONFIG_NAME.test(name))
        throw new EfiError('uki-invalid', `${JSON.stringify(name)} is no file name`);
      return { type: 'file', path: `${CONFIG_FOLDER}/${name}`, mode: 0o644, data };
    }),
  );
}
