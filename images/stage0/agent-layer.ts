import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CpioEntry } from '../../src/signing/efi/cpio.ts';
import { ImageBuildError } from '../build-error.ts';
import { filesBelow, sourceFile } from '../layer.ts';

/** The node agent: /init, and its programs in /usr/lib/bootward. It lies in front of the userland's archive. */
export function agentLayer(agentFolder: string): CpioEntry[] {
  const init = join(agentFolder, 'init');
  if (!existsSync(init)) throw new ImageBuildError('recipe-broken', `there is no ${init}`);
  return [sourceFile(init, 'init'), ...agentPrograms(agentFolder)];
}

/** All but what is for the package of a running system. */
export function agentPrograms(agentFolder: string): CpioEntry[] {
  const target = 'usr/lib/bootward';
  return filesBelow(agentFolder, target).filter(
    ({ path }) => path !== `${target}/install` && !path.startsWith(`${target}/systemd/`),
  );
}
